//! What the lives of a server in long use looked like from outside, and what of it is a leak.
//!
//! Looked at and judged by `soak`. Its laws: a start over more history does not take more memory,
//! so lives are alike at one age; and a life that is long enough to be warm grows no more.

use std::time::Duration;

use crate::house::Figures;
use crate::report::Report;

const HOUR: Duration = Duration::from_secs(3_600);
/// A slope is that of at least so much time.
const SLOPE_FROM: Duration = Duration::from_secs(240);
/// Mebibytes an hour that a life of an hour may grow by in its last two thirds.
const SLOPE_MAX: f64 = 1.0;
/// Lives are not compared at an earlier age: not everybody is back.
const AGE_MIN: Duration = Duration::from_secs(60);
/// Mebibytes that the last life may have more than the first at one age: twice what three lives of
/// ten minutes over growing data differed by.
const MORE_MAX: f64 = 4.0;

#[derive(Clone, Copy)]
struct Look {
    age: Duration,
    mebibytes: f64,
    files: usize,
}

/// What one life of the server looked like.
#[derive(Default)]
pub(crate) struct Life {
    looks: Vec<Look>,
}

/// Says what the lives came to, and holds that there is no leak.
pub(crate) fn judge(lives: &[Life], report: &mut Report) {
    lives.iter().for_each(|life| life.judge(report));
    let Some((age, all)) = at_one_age(lives) else {
        return report.say("no two lives to be compared".to_owned());
    };
    let more = all.last().zip(all.first()).map_or(0.0, |(last, first)| last - first);
    report.hold(more <= MORE_MAX, || {
        format!("the last life has {more:.1} MiB more than the first at {} s", age.as_secs())
    });
    let all: Vec<String> = all.iter().map(|mebibytes| format!("{mebibytes:.1}")).collect();
    report.say(format!("MiB of the lives at {} s: {}", age.as_secs(), all.join(", ")));
}

/// The greatest age that all lives came to, and the memory of each then.
fn at_one_age(lives: &[Life]) -> Option<(Duration, Vec<f64>)> {
    let age = lives.iter().map(Life::age).min()?;
    let all: Option<Vec<f64>> = lives.iter().map(|life| life.memory_at(age)).collect();
    all.filter(|all| age >= AGE_MIN && all.len() > 1).map(|all| (age, all))
}

impl Life {
    pub(crate) fn look(&mut self, age: Duration, figures: &Figures) {
        let mebibytes = figures.resident_kib as f64 / 1024.0;
        self.looks.push(Look { age, mebibytes, files: figures.files });
    }

    fn age(&self) -> Duration {
        self.looks.last().map_or(Duration::ZERO, |look| look.age)
    }

    /// The median of the last third before that age: a single look may meet a burst.
    fn memory_at(&self, age: Duration) -> Option<f64> {
        let near = self.looks.iter().filter(|look| (age * 2 / 3..=age).contains(&look.age));
        let mut all: Vec<f64> = near.map(|look| look.mebibytes).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    }

    fn judge(&self, report: &mut Report) {
        let Some(last) = self.looks.last() else { return };
        let files = self.looks.iter().map(|look| look.files).max().unwrap_or(0);
        let slope = self.slope();
        report.hold(last.age < HOUR || slope.is_some_and(|slope| slope < SLOPE_MAX), || {
            format!("memory grows by {slope:?} MiB an hour")
        });
        let slope = slope.map_or("not told".to_owned(), |slope| format!("{slope:+.1} MiB/h"));
        report.say(format!(
            "a life of {} s: {:.1} MiB at its end, slope of its last two thirds {slope}, at most \
             {files} files",
            last.age.as_secs(),
            last.mebibytes,
        ));
    }

    /// Mebibytes an hour, by least squares over the last two thirds.
    fn slope(&self) -> Option<f64> {
        let end = self.age();
        let points: Vec<(f64, f64)> = self
            .looks
            .iter()
            .filter(|look| look.age >= end / 3)
            .map(|look| (look.age.as_secs_f64() / 3_600.0, look.mebibytes))
            .collect();
        let count = points.len() as f64;
        let mean_of = |part: fn(&(f64, f64)) -> f64| points.iter().map(part).sum::<f64>() / count;
        let (mean_time, mean_memory) = (mean_of(|point| point.0), mean_of(|point| point.1));
        let spread: f64 = points.iter().map(|(time, _)| (time - mean_time).powi(2)).sum();
        let both: f64 = points.iter().map(|(t, m)| (t - mean_time) * (m - mean_memory)).sum();
        (end >= SLOPE_FROM && spread > 0.0).then(|| both / spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A life that warms up within minutes from 20 MiB to 28, and leaks.
    fn life(seconds: u64, more: f64, leaked_in_hour: f64) -> Life {
        let looks = (0..=seconds / 5).map(|number| {
            let age = Duration::from_secs(5 * number);
            let warm = 8.0 * (1.0 - (-age.as_secs_f64() / 120.0).exp());
            // Every other look meets something under way.
            let passing = (number % 2) as f64 * 0.5;
            let leaked = leaked_in_hour * age.as_secs_f64() / 3_600.0;
            Look { age, mebibytes: 20.0 + warm + passing + more + leaked, files: 20 }
        });
        Life { looks: looks.collect() }
    }

    fn found(lives: &[Life]) -> Vec<String> {
        let mut report = Report::default();
        judge(lives, &mut report);
        report.found
    }

    #[test]
    fn a_leak_is_found_in_one_long_life_and_from_life_to_life() {
        let more = [0.0, 0.9, -1.0];
        assert!(found(&more.map(|more| life(595, more, 0.0))).is_empty());
        assert!(found(&[life(600, 0.0, 0.0), life(4_200, 0.5, 0.0)]).is_empty());
        // In every life anew, so that lives at one age are alike.
        let within = found(&[life(600, 0.0, 2.0), life(4_200, 0.0, 2.0)]);
        assert!(matches!(&*within, [leak] if leak.contains("an hour")), "{within:?}");
        // With the data: no life grows, and each begins with more.
        let across = found(&[0.0, 1.5, 3.0, 4.5].map(|more| life(600, more, 0.0)));
        assert!(matches!(&*across, [leak] if leak.contains("than the first")), "{across:?}");
    }

    #[test]
    fn lives_that_are_too_short_are_told_and_not_compared() {
        assert!(at_one_age(&[life(40, 0.0, 0.0), life(40, 9.0, 0.0)]).is_none());
        assert!(at_one_age(&[life(600, 0.0, 0.0)]).is_none());
        assert!(at_one_age(&[life(600, 0.0, 0.0), Life::default()]).is_none());
    }
}
