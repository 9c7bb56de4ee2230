//! What a unary call may allocate in the service layer, and how a driver of one's own is attached.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use antiphon::rpc::{ClientRequest, HttpVersion, Method, Payload, Protocol, Shape};
use antiphon::{CallId, Config, Instant, Machine, Output, Pump, client, server};
use antiphon_service::drive::{Answer, Begun, Dispatcher, Drive, Incoming, Link, Shared};
use antiphon_service::{Bytes, Context, Interceptor, Next, Peer, Router, Status};
use bytes::BytesMut;

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = COUNT.with(Cell::get);
    let result = work();
    (result, COUNT.with(Cell::get) - before)
}

/// A driver that stands still: the test moves the machine.
struct Still;

impl Drive<server::Connection, server::Connection> for Still {
    fn now(&self) -> Instant {
        Instant::EPOCH
    }

    fn flush(&self, _: &Shared<server::Connection, server::Connection, Self>) {}
}

type Server = Shared<server::Connection, server::Connection, Still>;

/// The server's side of a connection, moved by hand.
struct Hand {
    shared: Arc<Server>,
    link: Arc<dyn Link>,
    dispatcher: Dispatcher,
    batch: Vec<Incoming>,
    answers: Vec<Answer>,
    input: BytesMut,
    output: Output,
}

/// What one turn allocated: to take the calls in, to run their handlers, to send their answers.
#[derive(Default, Debug, PartialEq, Eq)]
struct Cost {
    accept: usize,
    handlers: usize,
    submit: usize,
}

impl Hand {
    fn new(router: Router) -> Self {
        let machine = server::Connection::new(Arc::new(Config::default()));
        let shared = Arc::new(Shared::new(machine, Peer::unknown(), Still));
        Self {
            link: Arc::clone(&shared) as Arc<dyn Link>,
            shared,
            dispatcher: Dispatcher::new(router),
            batch: Vec::with_capacity(64),
            answers: Vec::with_capacity(64),
            input: BytesMut::with_capacity(1 << 16),
            output: Output::new(),
        }
    }

    fn turn(&mut self) -> Cost {
        let Self { shared, link, dispatcher, batch, answers, input, output } = self;
        shared.turn(|access| {
            let now = access.now();
            access.machine().handle_input(now, input).unwrap();
        });
        let ((), accept) = allocations(|| {
            shared.turn(|access| while dispatcher.accept(link, access, 64, batch) {});
        });
        let ((), handlers) = allocations(|| {
            for incoming in batch.drain(..) {
                match dispatcher.begin(incoming) {
                    Begun::Done(answer) => answers.push(answer),
                    Begun::Task(_) | Begun::Blocking(_) => panic!("it was to be done at its first poll"),
                }
            }
        });
        let ((), submit) = allocations(|| {
            shared.turn(|access| dispatcher.submit(access, answers));
            dispatcher.tidy(answers);
        });
        shared.turn(|access| {
            let now = access.now();
            while access.machine().poll_transmit(now, output) {}
            access.rest();
        });
        Cost { accept, handlers, submit }
    }
}

fn request(client: &mut Pump<client::Connection>, payload: &[u8]) -> CallId {
    let request = ClientRequest::new(Protocol::Grpc, "proto", Method::new(Shape::Unary), "test", "/t.T/Echo");
    let call = client.machine.start(Instant::EPOCH, &request).unwrap();
    client.machine.send_last(Instant::EPOCH, call, Payload::Plain(payload)).unwrap();
    call
}

fn response(client: &mut Pump<client::Connection>, call: CallId) -> Result<Bytes, Status> {
    let mut message = None;
    loop {
        match client.machine.read(Instant::EPOCH, call).unwrap() {
            client::Read::Messages(mut run) => message = run.next(&mut Vec::new()),
            client::Read::Pending => panic!("no answer"),
            client::Read::End(end) => {
                client.machine.drop_call(Instant::EPOCH, call);
                return end.and_then(|()| message.unwrap());
            }
        }
    }
}

struct Passing;

impl Interceptor for Passing {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<(), Status> {
        next.run(context).await
    }
}

fn echo() -> Router {
    Router::new().unary("/t.T/Echo", |_: Context, message: Bytes| async move { Ok::<_, Status>(message) })
}

#[test]
fn a_unary_call_in_steady_state_allocates_nothing_here() {
    // Eight calls a turn, after warming up. What is taken in costs the engine a block for each run of messages.
    for cost in steady_state(echo()) {
        assert_eq!((cost.handlers, cost.submit), (0, 0), "{cost:?}");
        assert!(cost.accept <= 8, "{cost:?}");
    }
}

#[test]
fn interceptors_cost_a_box_each_and_one_for_all() {
    for count in 1..4 {
        let router = (0..count).fold(echo(), |router, _| router.intercept(Passing));
        for cost in steady_state(router) {
            assert_eq!((cost.handlers, cost.submit), (8 * (count + 1), 0), "{cost:?}");
            assert!(cost.accept <= 8, "{cost:?}");
        }
    }
}

fn steady_state(router: Router) -> Vec<Cost> {
    let mut hand = Hand::new(router);
    let mut client = Pump::new(client::Connection::new(Arc::new(Config::default()), HttpVersion::Http2));
    let mut costs = Vec::new();
    for _ in 0..50 {
        let calls: Vec<_> = (0..8).map(|_| request(&mut client, b"hello")).collect();
        let bytes = client.take_output(Instant::EPOCH);
        hand.input.extend_from_slice(&bytes);
        costs.push(hand.turn());
        while let Some(piece) = hand.output.take() {
            client.feed(Instant::EPOCH, &piece);
        }
        while client.next_event().is_some() {}
        for call in calls {
            assert_eq!(response(&mut client, call).unwrap(), "hello");
        }
    }
    costs.split_off(25)
}
