//! The service around the generator, and its twin for threads.

use std::io::{Write, stdout};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use antiphon_examples::proto::{ReportChunk, ReportRequest, ReportService, ReportServiceServer, blocking};
use antiphon_examples::tour::Adapter;
use antiphon_service::{Blocking, Context, Router, Sender, Status};
use smol::Timer;

use crate::generator::{Generator, PACE, Tally};

/// Makes reports, and keeps the tally.
#[derive(Default)]
pub(crate) struct Reports {
    tally: Arc<Tally>,
}

/// What the server serves.
pub(crate) fn router(adapter: Adapter) -> Router {
    match adapter {
        Adapter::Blocking => {
            Router::new().add_service(blocking::ReportServiceServer::new(Reports::default()))
        }
        _ => Router::new().add_service(ReportServiceServer::new(Reports::default())),
    }
}

impl ReportService for Reports {
    async fn generate_report(
        &self,
        context: &Context,
        request: ReportRequest,
        mut outbound: Sender<ReportChunk>,
    ) -> Result<(), Status> {
        let mut generator = self.begin(context, &request)?;
        for _ in 0..generator.chunks() {
            // A cancel or the deadline drops this future here, and the generator with it.
            Timer::after(PACE).await;
            outbound.send(generator.make()).await?;
        }
        Ok(())
    }
}

impl blocking::ReportService for Reports {
    fn generate_report(
        &self,
        context: &Context,
        request: ReportRequest,
        mut outbound: Sender<ReportChunk, Blocking>,
    ) -> Result<(), Status> {
        let mut generator = self.begin(context, &request)?;
        for _ in 0..generator.chunks() {
            thread::sleep(PACE);
            // A cancel or the deadline is an error here.
            outbound.send(generator.make())?;
        }
        Ok(())
    }
}

impl Reports {
    /// Starts a generator, and tells the client how much will come before the first of it does.
    fn begin(&self, context: &Context, request: &ReportRequest) -> Result<Generator, Status> {
        context.set_header("Generators-Running", self.tally.running.load(Ordering::SeqCst))?;
        context.set_header("Chunks-Made", self.tally.made.load(Ordering::SeqCst))?;
        let generator = Generator::new(&request.report_id, &self.tally)
            .ok_or_else(|| Status::not_found(format!("there is no report {:?}", request.report_id)))?;
        context.set_header("Chunk-Count", generator.chunks())?;
        context.send_headers();
        if let (Some(left), true) = (context.time_left(), generator.chunks() > 0) {
            let (id, left) = (&request.report_id, left.as_secs_f32());
            let _ = writeln!(stdout(), "   generator: {id}: at work, the deadline is in {left:.2} s");
        }
        Ok(generator)
    }
}
