//! A glossary: a service and a client of it, in a library that knows no runtime. It depends on antiphon-service alone;
//! its users serve [`router`] and make connections with antiphon-smol, antiphon-tokio or antiphon-blocking.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use antiphon_service::details::ResourceInfo;
use antiphon_service::{Client, Context, Receiver, Router, Sender, Status};

use v1::{
    Entry, ExplainRequest, GlossaryService, GlossaryServiceClient, GlossaryServiceServer, Learned,
    ListRequest,
};

/// The messages, and the generated service and client.
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/glossary.v1.rs"));
}

/// The words that are known.
#[derive(Debug, Default)]
pub struct Glossary {
    entries: Mutex<BTreeMap<String, String>>,
}

/// A glossary without a word, for a server on any runtime.
pub fn router() -> Router {
    Router::new().add_service(GlossaryServiceServer::new(Glossary::default()))
}

impl GlossaryService for Glossary {
    async fn explain(&self, _: &Context, request: ExplainRequest) -> Result<Entry, Status> {
        let word = request.word;
        let meaning = self.with(|entries| entries.get(&word).cloned());
        let Some(meaning) = meaning else {
            let resource =
                ResourceInfo { resource_type: "word".into(), resource_name: word, ..Default::default() };
            return Err(Status::not_found("nobody has said what it means").with_detail(&resource));
        };
        Ok(Entry { word, meaning })
    }

    async fn learn(&self, _: &Context, mut inbound: Receiver<Entry>) -> Result<Learned, Status> {
        let mut count = 0;
        while let Some(Entry { word, meaning }) = inbound.recv().await? {
            count += u32::from(self.with(|entries| entries.insert(word, meaning)).is_none());
        }
        Ok(Learned { count })
    }

    async fn list(
        &self,
        context: &Context,
        request: ListRequest,
        mut outbound: Sender<Entry>,
    ) -> Result<(), Status> {
        let entries = self.with(|entries| entries.clone());
        for (word, meaning) in entries.into_iter().filter(|(word, _)| word.starts_with(&request.prefix)) {
            outbound.send(Entry { word, meaning }).await?;
        }
        context.set_trailer("glossary", "that is all")
    }
}

impl Glossary {
    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<String, String>) -> T) -> T {
        look(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Teaches a glossary these words and reads back all that begin with `prefix`, each as a line. The client is one of
/// any runtime; that of antiphon-blocking goes in as `client.asynchronous()`, or into [`blocking::teach`].
///
/// # Errors
/// How a call ended.
pub async fn teach(client: &Client, words: &[(&str, &str)], prefix: &str) -> Result<Vec<String>, Status> {
    let client = GlossaryServiceClient::new(client.clone());
    let mut call = client.learn().await?;
    for (word, meaning) in words {
        call.send(Entry { word: (*word).into(), meaning: (*meaning).into() }).await?;
    }
    call.close_and_recv().await?;
    let mut entries = client.list(ListRequest { prefix: prefix.into() }).await?;
    let mut lines = Vec::new();
    while let Some(Entry { word, meaning }) = entries.recv().await? {
        lines.push(format!("{word}: {meaning}"));
    }
    Ok(lines)
}

/// The same for callers in threads.
pub mod blocking {
    use antiphon_service::{Blocking, Client, Status};

    use crate::v1::{Entry, ListRequest, blocking::GlossaryServiceClient};

    /// As [`teach`](super::teach).
    ///
    /// # Errors
    /// How a call ended.
    pub fn teach(
        client: &Client<Blocking>,
        words: &[(&str, &str)],
        prefix: &str,
    ) -> Result<Vec<String>, Status> {
        let client = GlossaryServiceClient::new(client.clone());
        let mut call = client.learn()?;
        for (word, meaning) in words {
            call.send(Entry { word: (*word).into(), meaning: (*meaning).into() })?;
        }
        call.close_and_recv()?;
        let entries = client.list(ListRequest { prefix: prefix.into() })?;
        entries.map(|entry| entry.map(|Entry { word, meaning }| format!("{word}: {meaning}"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use antiphon_service::testing::{block_on, channel};

    use super::*;

    // Without a socket, a runtime or a clock.
    #[test]
    fn words_are_learned() {
        let client = channel(GlossaryServiceServer::new(Glossary::default())).client();
        let lines = block_on(teach(&client, &[("stave", "five lines"), ("neume", "a sign")], "")).unwrap();
        assert_eq!(lines, ["neume: a sign", "stave: five lines"]);
    }
}
