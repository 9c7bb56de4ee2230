//! The greeter, and its twin for threads.

use antiphon_examples::proto::greet::v1::{
    GreetRequest, GreetResponse, GreetService, GreetServiceServer, blocking,
};
use antiphon_examples::tour::Adapter;
use antiphon_service::{Blocking, Context, Cors, Receiver, Router, Sender, Status};

use crate::token::Token;

/// A greeter knows nobody yet.
pub(crate) struct Greeter;

/// What the server serves: the token is asked for before any handler runs. Pages of any origin may send one, and read
/// who greeted.
pub(crate) fn router(adapter: Adapter) -> Router {
    let cors = Cors::any().request_header("Acme-Token").response_header("Greet-Version");
    let router = Router::new().cors(cors).intercept(Token("let-me-in"));
    match adapter {
        Adapter::Blocking => router.add_service(blocking::GreetServiceServer::new(Greeter)),
        Adapter::Smol | Adapter::Tokio => router.add_service(GreetServiceServer::new(Greeter)),
    }
}

impl GreetService for Greeter {
    async fn greet_once(&self, context: &Context, request: GreetRequest) -> Result<GreetResponse, Status> {
        Ok(greeting(begin(context)?, &request.name))
    }

    async fn greet(
        &self,
        context: &Context,
        mut inbound: Receiver<GreetRequest>,
    ) -> Result<GreetResponse, Status> {
        let hello = begin(context)?;
        let mut greeting = String::new();
        while let Some(request) = inbound.recv().await? {
            greeting += &format!("{hello}, {}!\n", request.name);
        }
        Ok(GreetResponse { greeting })
    }

    async fn greet_more(
        &self,
        context: &Context,
        request: GreetRequest,
        mut outbound: Sender<GreetResponse>,
    ) -> Result<(), Status> {
        for words in [begin(context)?, "Nice to see you", "Take care"] {
            outbound.send(greeting(words, &request.name)).await?;
        }
        Ok(())
    }

    async fn greet_each(
        &self,
        context: &Context,
        mut inbound: Receiver<GreetRequest>,
        mut outbound: Sender<GreetResponse>,
    ) -> Result<(), Status> {
        let hello = begin(context)?;
        while let Some(request) = inbound.recv().await? {
            outbound.send(greeting(hello, &request.name)).await?;
        }
        Ok(())
    }
}

/// The same on a thread of its own for each call.
impl blocking::GreetService for Greeter {
    fn greet_once(&self, context: &Context, request: GreetRequest) -> Result<GreetResponse, Status> {
        Ok(greeting(begin(context)?, &request.name))
    }

    fn greet(
        &self,
        context: &Context,
        mut inbound: Receiver<GreetRequest, Blocking>,
    ) -> Result<GreetResponse, Status> {
        let hello = begin(context)?;
        let mut greeting = String::new();
        while let Some(request) = inbound.recv()? {
            greeting += &format!("{hello}, {}!\n", request.name);
        }
        Ok(GreetResponse { greeting })
    }

    fn greet_more(
        &self,
        context: &Context,
        request: GreetRequest,
        mut outbound: Sender<GreetResponse, Blocking>,
    ) -> Result<(), Status> {
        for words in [begin(context)?, "Nice to see you", "Take care"] {
            outbound.send(greeting(words, &request.name))?;
        }
        Ok(())
    }

    fn greet_each(
        &self,
        context: &Context,
        mut inbound: Receiver<GreetRequest, Blocking>,
        mut outbound: Sender<GreetResponse, Blocking>,
    ) -> Result<(), Status> {
        let hello = begin(context)?;
        while let Some(request) = inbound.recv()? {
            outbound.send(greeting(hello, &request.name))?;
        }
        Ok(())
    }
}

/// Says which greeter this is, and finds the word of greeting in the language that the client asks for.
fn begin(context: &Context) -> Result<&'static str, Status> {
    context.set_header("Greet-Version", "v1")?;
    let language = context.headers().get("Accept-Language").unwrap_or_default();
    Ok(if language.starts_with("fr") { "Bonjour" } else { "Hello" })
}

fn greeting(words: &str, name: &str) -> GreetResponse {
    GreetResponse { greeting: format!("{words}, {name}!") }
}
