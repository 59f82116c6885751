//! What the plugin of the emulator (`tools/qemu/plugin`) counts.

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Instructions.
    pub instructions: f64,
    /// Accesses to device registers.
    pub reads: f64,
    pub writes: f64,
    /// Looks at the receive ring, those in vain included.
    pub looks: f64,
}

impl Counts {
    /// Each number of `self` and `other`.
    pub fn with(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            instructions: f(self.instructions, other.instructions),
            reads: f(self.reads, other.reads),
            writes: f(self.writes, other.writes),
            looks: f(self.looks, other.looks),
        }
    }
}

/// What the plugin says on each line that begins with `what`: everything, and the part of it that was waiting.
pub fn parse(log: &str, what: &str) -> Vec<(Counts, Counts)> {
    log.lines().filter_map(|line| numbers(line.strip_prefix(what)?.strip_prefix(": ")?)).collect()
}

fn numbers(line: &str) -> Option<(Counts, Counts)> {
    let mut numbers = line.split_whitespace().filter_map(|word| word.parse::<f64>().ok());
    let mut next = || numbers.next();
    let all = Counts { instructions: next()?, reads: next()?, writes: next()?, looks: 0.0 };
    let waiting = Counts { instructions: next()?, reads: next()?, writes: next()?, looks: 0.0 };
    let looks = next()?;
    Some((Counts { looks, ..all }, waiting))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugins_lines_are_found_among_others() {
        let log =
            "qemu: a line\nimage: all 1 2 3 waiting 4 5 6 looks 7\nblocks: all 100 20 10 waiting 30 5 1 looks 12\n";
        let all = Counts { instructions: 100.0, reads: 20.0, writes: 10.0, looks: 12.0 };
        let waiting = Counts { instructions: 30.0, reads: 5.0, writes: 1.0, looks: 0.0 };
        assert_eq!(parse(log, "blocks"), [(all, waiting)]);
        assert_eq!(parse(&log.repeat(2), "image").len(), 2);
        assert_eq!(parse("blocks: all 1 2 3 waiting 4 5 6 looks", "blocks"), []);
        assert_eq!(parse("", "blocks"), []);
    }
}
