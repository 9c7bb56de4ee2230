//! Attacks on the drivers: what a hostile peer or a careless user does to a connection must end with it, and must not
//! touch another one. Threads and descriptors are counted, so that no two tests of this file run at once.

mod blocking;
mod drops;
mod hostile;
mod kit;
mod servers;
mod tasks;
