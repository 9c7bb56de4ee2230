//! One interceptor for both ends: a client adds its token, a server asks for it.

use antiphon_service::{Context, Interceptor, Next, Status};

/// A token on every call of a client, asked for at every server. Around calls of all shapes, async and blocking.
#[derive(Clone, Copy)]
pub(crate) struct Token(pub(crate) &'static str);

impl Interceptor for Token {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<(), Status> {
        if context.is_client() {
            context.set_header("Acme-Token", self.0)?;
        } else if context.headers().get("Acme-Token") != Some(self.0) {
            return Err(Status::unauthenticated("send a valid Acme-Token"));
        }
        next.run(context).await
    }
}
