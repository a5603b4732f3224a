//! Memory and processor time of running processes, from proc(5).

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Everything that is in memory.
    pub(crate) resident: u64,
    /// The same, with pages that others have too counted in parts.
    pub(crate) proportional: u64,
    /// The most that was ever resident.
    pub(crate) peak: u64,
}

/// Memory of a process at this moment.
pub(crate) fn memory(pid: i32) -> anyhow::Result<Memory> {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).with_context(|| format!("process {pid}"));
    let (status, rollup) = (read("status")?, read("smaps_rollup")?);
    Ok(Memory {
        resident: kib(&status, "VmRSS:") * 1024,
        proportional: kib(&rollup, "Pss:") * 1024,
        peak: kib(&status, "VmHWM:") * 1024,
    })
}

fn kib(text: &str, field: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Processor time of a process since its start, its ended threads included.
pub(crate) fn processor(pid: i32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
    let (_, fields) = stat.rsplit_once(')').context("a process without a name")?;
    // utime and stime are fields 14 and 15; the first one after the name is number 3.
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?.unwrap_or(100);
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// The part of one core that a process used in a time.
pub(crate) fn core_part(before: Duration, after: Duration, time: Duration) -> f64 {
    after.saturating_sub(before).as_secs_f64() / time.as_secs_f64()
}
