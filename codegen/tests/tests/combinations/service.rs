//! The one handler code that is served over all combinations.

use antiphon_codegen_tests::combine::v1::{Ask, CombineService, Said};
use antiphon_service::details::{BadRequest, FieldViolation};
use antiphon_service::{Context, Metadata, Receiver, Sender, Status};

use crate::table::Plot;

/// How many messages a stream has.
pub(crate) const COUNT: usize = 3;

pub(crate) struct Combine;

/// Large enough to be compressed, and of bytes that no text has.
pub(crate) fn ask(number: usize) -> Ask {
    Ask {
        text: format!("{number}: Te Deum laudamus; ä 語 \u{1F3B6}. ").repeat(60),
        data: vec![number as u8, 0, 255],
    }
}

pub(crate) fn said(ask: Ask, number: usize) -> Said {
    Said { text: ask.text, data: ask.data, number: number as u64 }
}

pub(crate) fn detail() -> BadRequest {
    let violation =
        FieldViolation { field: "text".into(), description: "is not ours".into(), ..Default::default() };
    BadRequest { field_violations: vec![violation] }
}

pub(crate) const FAILURE: &str = "100 % wrong:\n\"ä\" is not 語";

fn failure() -> Status {
    let mut metadata = Metadata::new();
    metadata.append("combine-error", "beside the status").expect("a good name and value");
    Status::failed_precondition(FAILURE).with_detail(&detail()).with_metadata(metadata)
}

/// Sets headers and trailers, and fails if that is the plot.
fn begin(context: &Context) -> Result<Plot, Status> {
    let plot = context.headers().get("combine-plot").and_then(Plot::named);
    let plot = plot.ok_or_else(|| Status::internal("no plot came with the request"))?;
    context.set_header("combine-header", plot.name())?;
    context.set_header("combine-header-bin", &[0u8, 128, 255])?;
    context.set_trailer("combine-trailer", "one")?;
    context.set_trailer("combine-trailer", "two, or more")?;
    context.set_trailer("combine-trailer-bin", &[255u8, 0, 61])?;
    if plot == Plot::FailsFirst { Err(failure()) } else { Ok(plot) }
}

impl CombineService for Combine {
    async fn unary(&self, context: &Context, ask: Ask) -> Result<Said, Status> {
        match begin(context)? {
            Plot::FailsLater => Err(failure()),
            Plot::Empty => Ok(Said::default()),
            _ => Ok(said(ask, 1)),
        }
    }

    async fn get(&self, context: &Context, ask: Ask) -> Result<Said, Status> {
        self.unary(context, ask).await
    }

    async fn server_stream(
        &self,
        context: &Context,
        ask: Ask,
        mut outbound: Sender<Said>,
    ) -> Result<(), Status> {
        let plot = begin(context)?;
        let count = if plot == Plot::Empty { 0 } else { COUNT };
        for number in 1..=count {
            outbound.send(said(ask.clone(), number)).await?;
            if plot == Plot::FailsLater {
                return Err(failure());
            }
        }
        Ok(())
    }

    async fn client_stream(&self, context: &Context, mut inbound: Receiver<Ask>) -> Result<Said, Status> {
        let plot = begin(context)?;
        let (mut all, mut count) = (Ask::default(), 0);
        while let Some(ask) = inbound.recv().await? {
            if plot == Plot::FailsLater {
                return Err(failure());
            }
            all.text += &ask.text;
            all.data.extend(ask.data);
            count += 1;
        }
        Ok(said(all, count))
    }

    async fn bidi(
        &self,
        context: &Context,
        mut inbound: Receiver<Ask>,
        mut outbound: Sender<Said>,
    ) -> Result<(), Status> {
        let plot = begin(context)?;
        let mut count = 0;
        while let Some(ask) = inbound.recv().await? {
            count += 1;
            outbound.send(said(ask, count)).await?;
            if plot == Plot::FailsLater {
                return Err(failure());
            }
        }
        Ok(())
    }
}
