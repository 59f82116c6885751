//! The device tree compiler, and buffers as the loader has them.

use std::io::Write;
use std::process::{Command, Stdio};

/// Runs a tool of the device-tree-compiler package on `input`; gives its output, or what it said.
fn run(tool: &str, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, String> {
    let mut child = Command::new(tool)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{tool} does not start ({error}): install device-tree-compiler"));
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("the tool ends");
    writer.join().expect("the writer ends");
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(format!("{tool}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// Compiles a source.
pub fn compile(source: &str) -> Vec<u8> {
    run("dtc", &["-q", "-@", "-I", "dts", "-O", "dtb"], source.as_bytes())
        .unwrap_or_else(|error| panic!("{error}\n{source}"))
}

/// Compiles a source without `__symbols__`.
pub fn compile_plain(source: &str) -> Vec<u8> {
    run("dtc", &["-q", "-q", "-I", "dts", "-O", "dtb"], source.as_bytes())
        .unwrap_or_else(|error| panic!("{error}\n{source}"))
}

/// The source of a tree; fails where dtc finds an error in it.
pub fn decompile(tree: &[u8]) -> Result<String, String> {
    run("dtc", &["-q", "-q", "-I", "dtb", "-O", "dts"], tree)
        .map(|source| String::from_utf8_lossy(&source).into_owned())
}

/// A directory that goes with its last user.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new() -> Self {
        static RUNS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let run_number = RUNS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("xenlift-oracle-{}-{run_number}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `base` with overlays applied by libfdt.
pub fn fdtoverlay(base: &[u8], overlays: &[&[u8]]) -> Vec<u8> {
    let scratch = Scratch::new();
    let base = scratch.write("base.dtb", base);
    let overlays: Vec<String> =
        overlays.iter().enumerate().map(|(index, bytes)| scratch.write(&format!("{index}.dtbo"), bytes)).collect();
    let mut arguments = vec!["-i", &base, "-o", "-"];
    arguments.extend(overlays.iter().map(String::as_str));
    run("fdtoverlay", &arguments, &[]).unwrap_or_else(|error| panic!("{error}"))
}

/// `tree` as fdtput changes it: options first, the rest behind the file's name.
pub fn fdtput(tree: &[u8], arguments: &[&str]) -> Vec<u8> {
    let scratch = Scratch::new();
    let file = scratch.write("tree.dtb", tree);
    let options = if arguments[0] == "-t" { 2 } else { 1 };
    let arguments = [&arguments[..options], &[file.as_str()], &arguments[options..]].concat();
    run("fdtput", &arguments, &[]).unwrap_or_else(|error| panic!("{error}"));
    std::fs::read(&file).unwrap()
}

/// What fdtget says of `tree`, with options first.
pub fn fdtget(tree: &[u8], arguments: &[&str]) -> String {
    let scratch = Scratch::new();
    let file = scratch.write("tree.dtb", tree);
    let arguments = [&arguments[..2], &[file.as_str()], &arguments[2..]].concat();
    let said = run("fdtget", &arguments, &[]).unwrap_or_else(|error| panic!("{error}"));
    String::from_utf8(said).unwrap().trim_end().to_string()
}

/// Memory for a tree: zeroed, at a multiple of 8.
pub struct Buffer {
    memory: Vec<u8>,
    start: usize,
    size: usize,
}

impl Buffer {
    /// `size` bytes, the first of them those of `tree`.
    pub fn new(tree: &[u8], size: usize) -> Self {
        let mut memory = vec![0u8; size + 8];
        let start = memory.as_ptr().align_offset(8);
        memory[start..start + tree.len()].copy_from_slice(tree);
        Self { memory, start, size }
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.size]
    }
}
