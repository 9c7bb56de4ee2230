//! The service layer, judged from outside: both async adapters over loopback, and the driver over a test's own runtime.

mod driver;
mod ends;
mod env;
mod flow;
mod intercept;
mod intercept_client;
mod observe;
mod shapes;
mod terms;
mod transports;
mod web;
