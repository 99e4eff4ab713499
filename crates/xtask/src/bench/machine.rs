//! What the kernel says about a process and about this machine.

use std::fs;
use std::process::Command;

/// User and system CPU time of a whole process so far, in microseconds (`proc(5)`, fields 14 and 15 of `stat`).
pub fn cpu_micros(process: &str) -> Result<u64, String> {
    let stat = read(&format!("/proc/{process}/stat"))?;
    // The name in parentheses may hold blanks; the numbers begin after it, with field 3.
    let (_, fields) = stat.rsplit_once(')').ok_or("an odd /proc stat line")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks =
        |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok()).ok_or("an odd /proc stat line");
    Ok((ticks(14)? + ticks(15)?) * 1_000_000 / ticks_per_second())
}

fn ticks_per_second() -> u64 {
    output("getconf", &["CLK_TCK"]).parse().unwrap_or(100)
}

/// Time this thread has been on a processor, in nanoseconds.
pub fn thread_cpu_nanos() -> Result<u64, String> {
    let text = read("/proc/thread-self/schedstat")?;
    text.split_whitespace().next().and_then(|text| text.parse().ok()).ok_or_else(|| "an odd schedstat line".to_owned())
}

/// A line `name: 123 kB` of a process's status, or `name: 123` of its io, as a number.
pub fn field(process: &str, file: &str, name: &str) -> Result<u64, String> {
    number(&format!("/proc/{process}/{file}"), name)
}

fn number(path: &str, name: &str) -> Result<u64, String> {
    let text = read(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = line.and_then(|rest| rest.split_whitespace().next()).and_then(|text| text.parse().ok());
    value.ok_or_else(|| format!("no {name} in {path}"))
}

/// One line about the machine: a figure without it says nothing.
pub fn described() -> String {
    let processor = read("/proc/cpuinfo").unwrap_or_default();
    let model = processor.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = number("/proc/meminfo", "MemTotal").unwrap_or_default() / (1024 * 1024);
    let kernel = output("uname", &["-sr"]);
    format!("{} × {cores}, {memory} GiB, {kernel}", model.unwrap_or("unknown processor").trim())
}

/// The first line that a program prints, or nothing.
pub fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// The last line that a program prints, or nothing.
pub fn last_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().last().unwrap_or_default().trim().to_owned()
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}
