//! What of a page changes by itself, in a box.
//!
//! leptos makes each closure in a view, and each effect, a task of its own type, and each of those
//! is another piece of WebAssembly. In a box closures of one result share one piece. Its law: a
//! closure in a view stands in `live`, and an effect is made by `effect`.

use leptos::prelude::Effect;

/// A part of a view that is made anew whenever what it reads changes.
pub type Live<T> = Box<dyn FnMut() -> T + Send>;

/// Boxes a closure of a view.
pub fn live<T: 'static>(part: impl FnMut() -> T + Send + 'static) -> Live<T> {
    Box::new(part)
}

/// Does this when the page is hydrated, and again whenever what it reads changes; never on the
/// server.
pub fn effect<T>(mut act: impl FnMut() -> T + 'static) {
    run(Box::new(move || {
        act();
    }));
}

fn run(act: Box<dyn FnMut()>) {
    Effect::new(act);
}
