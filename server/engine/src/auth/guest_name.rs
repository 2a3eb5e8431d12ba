//! Friendly names for guests: an adjective and an animal, which may be changed at any time.
//!
//! Used where an account of a guest is made. Its law: short, harmless together in any pair, and
//! unlike a real name, so that nobody is taken for somebody.

use protocol::model::DisplayName;

use crate::clock::Chance;

const ADJECTIVES: [&str; 48] = [
    "Agile", "Amber", "Brave", "Breezy", "Bright", "Calm", "Cheery", "Clever", "Cosy", "Crimson",
    "Curious", "Dapper", "Eager", "Early", "Fearless", "Gentle", "Golden", "Happy", "Hasty",
    "Honest", "Humble", "Jolly", "Keen", "Kind", "Lively", "Lucky", "Mellow", "Merry", "Misty",
    "Modest", "Nimble", "Noble", "Patient", "Plucky", "Polite", "Quick", "Quiet", "Rapid", "Rosy",
    "Silver", "Snowy", "Steady", "Sunny", "Swift", "Tidy", "Upbeat", "Warm", "Wise",
];

const ANIMALS: [&str; 48] = [
    "Albatross",
    "Alpaca",
    "Antelope",
    "Badger",
    "Beaver",
    "Bison",
    "Bunting",
    "Camel",
    "Caribou",
    "Cormorant",
    "Crane",
    "Curlew",
    "Dolphin",
    "Dormouse",
    "Eider",
    "Falcon",
    "Ferret",
    "Finch",
    "Fox",
    "Gazelle",
    "Gecko",
    "Hare",
    "Hedgehog",
    "Heron",
    "Hoopoe",
    "Ibex",
    "Ibis",
    "Jackdaw",
    "Kestrel",
    "Kingfisher",
    "Koala",
    "Lark",
    "Lemur",
    "Lynx",
    "Magpie",
    "Marten",
    "Narwhal",
    "Osprey",
    "Otter",
    "Owl",
    "Panda",
    "Penguin",
    "Puffin",
    "Robin",
    "Seal",
    "Swallow",
    "Tortoise",
    "Wren",
];

/// Draws a name.
pub fn make(chance: &mut dyn Chance) -> DisplayName {
    let adjective = pick(&ADJECTIVES, chance);
    let animal = pick(&ANIMALS, chance);
    DisplayName::cut(&format!("{adjective} {animal}"))
}

fn pick<'w>(words: &[&'w str; 48], chance: &mut dyn Chance) -> &'w str {
    let place = usize::try_from(chance.below(48)).unwrap_or(0);
    words.get(place).copied().unwrap_or("Quiet")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::clock::SeededChance;

    #[test]
    fn a_name_is_two_short_words_and_most_guests_get_their_own() {
        let names: HashSet<String> =
            (0..100).map(|seed| make(&mut SeededChance::new(seed)).into_string()).collect();
        assert!(names.len() > 90, "{}", names.len());
        for name in names {
            assert_eq!(name.split(' ').count(), 2, "{name}");
            assert!(name.len() < 24, "{name}");
        }
    }
}
