//! Transports that let a recorder see what passes.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use antiphon_service::blocking::Split;
use futures_io::{AsyncRead, AsyncWrite};

use crate::transcript::{Direction, Recorder};

/// A transport, or one half of one, whose bytes a recorder sees.
#[derive(Debug)]
pub struct Tap<T> {
    inner: T,
    recorder: Recorder,
}

impl<T> Tap<T> {
    /// Shows `recorder` what passes `inner`.
    pub fn new(inner: T, recorder: Recorder) -> Self {
        Self { inner, recorder }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Tap<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        self.recorder.note(Direction::Received, buf.get(..count).unwrap_or_default());
        Poll::Ready(Ok(count))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Tap<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Self { inner, recorder } = &mut *self;
        let mut inner = Pin::new(inner);
        recorder.note_written(buf, |buf| inner.as_mut().poll_write(cx, buf), written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}

fn written(poll: &Poll<io::Result<usize>>) -> usize {
    match poll {
        Poll::Ready(Ok(count)) => *count,
        _ => 0,
    }
}

impl<T: Read> Read for Tap<T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buf)?;
        self.recorder.note(Direction::Received, buf.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let first = bufs.iter_mut().find(|buf| !buf.is_empty());
        first.map_or(Ok(0), |buf| self.read(buf))
    }
}

impl<T: Write> Write for Tap<T> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let inner = &mut self.inner;
        let count = |result: &io::Result<usize>| *result.as_ref().unwrap_or(&0);
        self.recorder.note_written(buf, |buf| inner.write(buf), count)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let first = bufs.iter().find(|buf| !buf.is_empty());
        first.map_or(Ok(0), |buf| self.write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A blocking transport whose bytes a recorder sees.
#[derive(Debug)]
pub struct TapSplit<T>(pub T, pub Recorder);

impl<T: Split> Split for TapSplit<T> {
    type Reader = Tap<T::Reader>;
    type Writer = Tap<T::Writer>;
    type Control = T::Control;

    fn split(self) -> io::Result<(Self::Reader, Self::Writer, Self::Control)> {
        let (reader, writer, control) = self.0.split()?;
        Ok((Tap::new(reader, self.1.clone()), Tap::new(writer, self.1), control))
    }
}
