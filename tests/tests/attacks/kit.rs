//! What the attacks have in common: servers on each adapter, raw clients, and the process as the system sees it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use antiphon::Config;
use antiphon_service::{Blocking, Client, HttpVersion, Router, Shutdown};

/// One of the adapters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Adapter {
    Blocking,
    Smol,
    Tokio,
}

pub(crate) const ALL: [Adapter; 3] = [Adapter::Blocking, Adapter::Smol, Adapter::Tokio];

/// A server that runs in a thread of its own, and ends with this.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    thread: Option<thread::JoinHandle<()>>,
}

/// Held by each test that counts what the process has.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Adapter {
    pub(crate) fn serve(self, config: Config, router: Router) -> Running {
        self.serve_at_most(1000, config, router)
    }

    pub(crate) fn serve_at_most(self, max: usize, config: Config, router: Router) -> Running {
        let any = "127.0.0.1:0";
        let (address, shutdown, thread) = match self {
            Self::Blocking => {
                let server =
                    antiphon_blocking::Server::bind(any).unwrap().config(config).max_connections(max);
                let (address, shutdown) = (server.local_addr().unwrap(), server.shutdown());
                (address, shutdown, thread::spawn(move || server.serve(router)))
            }
            Self::Smol => {
                let server = smol::block_on(antiphon_smol::Server::bind(any))
                    .unwrap()
                    .config(config)
                    .max_connections(max);
                let (address, shutdown) = (server.local_addr().unwrap(), server.shutdown());
                (address, shutdown, thread::spawn(move || smol::block_on(server.serve(router))))
            }
            Self::Tokio => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let server = runtime
                    .block_on(antiphon_tokio::Server::bind(any))
                    .unwrap()
                    .config(config)
                    .max_connections(max);
                let (address, shutdown) = (server.local_addr().unwrap(), server.shutdown());
                (address, shutdown, thread::spawn(move || runtime.block_on(server.serve(router))))
            }
        };
        Running { address, shutdown, thread: Some(thread) }
    }
}

/// A client of each adapter, which blocks here whatever moves its connection.
pub(crate) fn client(adapter: Adapter, address: SocketAddr, version: HttpVersion) -> Client<Blocking> {
    match adapter {
        Adapter::Blocking => antiphon_blocking::connect(address, version).unwrap(),
        Adapter::Smol => smol::block_on(antiphon_smol::connect(address, version)).unwrap().blocking(),
        Adapter::Tokio => {
            static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
            let made = || {
                tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
            };
            RUNTIME.get_or_init(made).block_on(antiphon_tokio::connect(address, version)).unwrap().blocking()
        }
    }
}

impl Running {
    /// Begins to end it, and waits so long for the end at most.
    pub(crate) fn ends_within(&mut self, limit: Duration) -> bool {
        let Some(thread) = self.thread.take() else { return true };
        let started = Instant::now();
        while !thread.is_finished() {
            if started.elapsed() > limit {
                self.thread = Some(thread);
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        thread.join().unwrap();
        true
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.abort();
        let ended = self.ends_within(Duration::from_secs(20));
        assert!(ended || thread::panicking(), "the server does not end");
    }
}

/// What the system counts of this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Process {
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
}

impl Process {
    /// Workers of a pool are not counted: an idle one stays for ten seconds.
    pub(crate) fn now() -> Self {
        let descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let names = tasks.map(|task| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default());
        // Threads of the tests themselves have names such as `tasks::a_panic`.
        let counts = |name: &str| !name.is_empty() && name != "antiphon-worker" && !name.contains("::");
        let threads = names.filter(|name| counts(name.trim())).count();
        Self { descriptors, threads }
    }

    /// Waits until there is no more than there was. A few threads may be a runtime's own.
    pub(crate) fn comes_back(self, what: &str) {
        let mut now = Self::now();
        for _ in 0..1500 {
            if now.descriptors <= self.descriptors && now.threads <= self.threads {
                return;
            }
            thread::sleep(Duration::from_millis(10));
            now = Self::now();
        }
        panic!("{what}: {self:?} became {now:?}");
    }
}

/// How much CPU time the process used while this ran.
pub(crate) fn cpu_of(work: impl FnOnce()) -> Duration {
    let used = || {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let fields: Vec<u64> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split(' ')
            .map(|field| field.parse().unwrap_or(0))
            .collect();
        // User and system time, in hundredths of a second.
        Duration::from_millis(
            10 * (fields.get(12).copied().unwrap_or(0) + fields.get(13).copied().unwrap_or(0)),
        )
    };
    let before = used();
    work();
    used() - before
}

/// A client that sends these bytes.
pub(crate) fn raw(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // A server that has seen enough may close before all of it is written.
    let _ = stream.write_all(bytes);
    stream
}

/// Whether the other side closes within this time; what comes before is thrown away.
pub(crate) fn is_closed_within(mut stream: &TcpStream, limit: Duration) -> bool {
    let started = Instant::now();
    let mut block = [0; 65536];
    while let Some(left) = limit.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) {
        stream.set_read_timeout(Some(left)).unwrap();
        match stream.read(&mut block) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
            Err(_) => return true,
        }
    }
    false
}

/// The preface of HTTP/2 with empty SETTINGS, and their acknowledgement.
pub(crate) const PREFACE: &[u8] =
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0";
