//! Figures of this machine, from /proc (proc(5) of Linux).

use std::fs;
use std::path::{Path, PathBuf};

use antiphon_examples::proto::monitor::WatchResponse;
use antiphon_service::Status;

/// A machine that is read now and then.
pub(crate) struct Machine {
    proc: PathBuf,
    last: Ticks,
}

/// What the processors have done since they were started, in ticks of the kernel.
#[derive(Clone, Copy)]
struct Ticks {
    busy: u64,
    all: u64,
}

impl Machine {
    /// The machine whose kernel tells of itself in this directory. The first reading counts from here.
    ///
    /// # Errors
    /// `failed_precondition` where the kernel tells nothing there: then it is no Linux.
    pub(crate) fn at(proc: &Path) -> Result<Self, Status> {
        Ok(Self { proc: proc.to_owned(), last: Ticks::read(proc)? })
    }

    /// How busy it was since the last reading, and the memory in use now, both in percent.
    pub(crate) fn read(&mut self) -> Result<WatchResponse, Status> {
        let ticks = Ticks::read(&self.proc)?;
        let since = Ticks {
            busy: ticks.busy.saturating_sub(self.last.busy),
            all: ticks.all.saturating_sub(self.last.all),
        };
        self.last = ticks;
        let memory = tell(&self.proc, "meminfo")?;
        let kilobytes = |name: &str| -> Result<u64, Status> {
            let line = memory.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.ok_or_else(|| Status::internal(format!("meminfo has no {name}")))
        };
        let total = kilobytes("MemTotal:")?;
        let used = total.saturating_sub(kilobytes("MemAvailable:")?);
        Ok(WatchResponse { cpu: percent(since.busy, since.all), memory: percent(used, total) })
    }
}

impl Ticks {
    fn read(proc: &Path) -> Result<Self, Status> {
        let stat = tell(proc, "stat")?;
        // user nice system idle iowait irq softirq steal; what follows is in user and nice already.
        let line = stat.lines().next().and_then(|line| line.strip_prefix("cpu "));
        let ticks: Vec<u64> = line
            .into_iter()
            .flat_map(str::split_whitespace)
            .take(8)
            .filter_map(|tick| tick.parse().ok())
            .collect();
        let [_, _, _, idle, waiting, ..] = ticks[..] else {
            return Err(Status::internal("stat does not begin with the processors"));
        };
        let all = ticks.iter().sum::<u64>();
        Ok(Self { busy: all.saturating_sub(idle + waiting), all })
    }
}

/// A file of the kernel's.
fn tell(proc: &Path, name: &str) -> Result<String, Status> {
    let path = proc.join(name);
    fs::read_to_string(&path).map_err(|error| {
        let text = format!("this server's machine does not tell how busy it is: {}: {error}", path.display());
        Status::failed_precondition(text).with_source(error)
    })
}

fn percent(part: u64, whole: u64) -> f32 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 100.0) as f32 }
}

#[cfg(test)]
mod tests {
    use antiphon_service::Code;

    use super::*;

    // proc(5): /proc/stat, /proc/meminfo
    #[test]
    fn figures_are_of_the_time_between_two_readings() {
        let proc = std::env::temp_dir().join(format!("antiphon-monitor-{}", std::process::id()));
        fs::create_dir_all(&proc).unwrap();
        let stat =
            |line: &str| fs::write(proc.join("stat"), format!("{line}\ncpu0 1 2 3 4 5 6 7 8\n")).unwrap();
        stat("cpu  100 0 100 700 100 0 0 0 50 0");
        fs::write(proc.join("meminfo"), "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 750 kB\n").unwrap();
        let mut machine = Machine::at(&proc).unwrap();
        assert_eq!(machine.read().unwrap(), WatchResponse { cpu: 0.0, memory: 25.0 }, "no time has passed");
        stat("cpu  130 0 100 760 110 0 0 0 90 0");
        assert_eq!(machine.read().unwrap().cpu, 30.0);
        stat("cpu  1 0 1 1 1 0 0 0 0 0"); // the counters of the kernel began anew
        assert_eq!(machine.read().unwrap().cpu, 0.0);
        stat("intr 1");
        assert_eq!(machine.read().unwrap_err().code(), Code::Internal);
        fs::remove_dir_all(&proc).unwrap();
        assert_eq!(machine.read().unwrap_err().code(), Code::FailedPrecondition);
    }
}
