//! The bounds that both ends obey, with their units in their names.
//!
//! What an operator may turn lies in the server's settings and reaches the client in `Welcome`;
//! what stands here is the wire's own and changes only with the protocol's version. Sources:
//! `docs/PROTOCOL.md`.

/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 12;
/// Bytes of one WebSocket message from a client, its fragments together.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a command's body before compression.
pub const COMMAND_BYTES_MAX: usize = 64 * 1024;
/// Bytes of an event's body before compression.
pub const EVENT_BYTES_MAX: usize = 128 * 1024;
/// Memory that decoding a command may claim, as bincode counts it: four times the raw bound.
pub const COMMAND_MEMORY_MAX: usize = 4 * COMMAND_BYTES_MAX;
/// Memory that decoding an event may claim, as bincode counts it: four times the raw bound.
pub const EVENT_MEMORY_MAX: usize = 4 * EVENT_BYTES_MAX;
/// A body of fewer bytes is sent as it is.
pub const COMPRESS_FROM_BYTES: usize = 256;
/// The most that LZ4 can make of a byte; a header that claims more lies.
pub const LZ4_RATIO_MAX: usize = 255;

/// Bytes of a logged event's body.
pub const CHANGE_BYTES_MAX: usize = 48 * 1024;
/// Bytes of a message's text, whatever the setting for characters is.
pub const TEXT_BYTES_MAX: usize = 40 * 1024;
/// Characters (Unicode scalar values) of a message's text unless the operator sets another number.
pub const TEXT_CHARS_DEFAULT: u32 = 10_000;
/// Characters of a display name; four bytes each at most.
pub const NAME_CHARS_MAX: usize = 64;
/// Combining marks of a name on one letter: Arabic and Hebrew have so many.
pub const NAME_MARKS_MAX: usize = 3;
/// Characters of a room's name.
pub const ROOM_NAME_CHARS_MAX: usize = 80;
/// Characters of a room's topic.
pub const TOPIC_CHARS_MAX: usize = 250;
/// Characters of a room's key.
pub const KEY_CHARS_MAX: usize = 64;

/// Ops of one connection that may wait for their answer.
pub const WINDOW_OPS: usize = 16;
/// Ops that an outbox holds when it takes a new one; what earlier pages left comes on top.
pub const OUTBOX_OPS_MAX: usize = 500;
/// Bytes of text that it holds then.
pub const OUTBOX_BYTES_MAX: usize = 5 * 1024 * 1024;
/// Days after which an op that was never sent expires.
pub const OUTBOX_DAYS_MAX: i64 = 7;

/// Milliseconds before anybody comes back to a server that had no place or no database for him.
pub const AWAY_MS_MIN: u32 = 5_000;

/// Events of one page of a replay.
pub const PAGE_EVENTS_MAX: usize = 100;
/// Messages of a snapshot, and of the pages of history that this project's client asks for.
pub const SNAPSHOT_MESSAGES_MAX: usize = 50;
/// Messages of one page of history, whatever the setting for it is.
pub const HISTORY_MESSAGES_MAX: usize = 100;
/// Bytes of the messages of a snapshot or page; at least one is in it whatever its size.
pub const SNAPSHOT_BYTES_MAX: usize = 96 * 1024;
/// Events that a subscription may be behind before it is told to start fresh.
pub const REPLAY_EVENTS_MAX: u64 = 5_000;
/// Rooms in one `Welcome` or `Rooms` frame.
pub const ROOMS_A_FRAME_MAX: usize = 50;
/// Positions that one `Ping` carries.
pub const PING_POSITIONS_MAX: usize = 64;
/// People that one `Typists` frame names.
pub const TYPISTS_MAX: usize = 4;
/// Bad frames after which a connection is closed.
pub const BAD_FRAMES_MAX: u32 = 3;

/// Milliseconds from the opened socket to the server's `Welcome`.
pub const WELCOME_MS_MAX: i64 = 5_000;
/// Milliseconds between two pings of the server.
pub const PING_MS: i64 = 20_000;
/// Milliseconds of silence after which the server gives a client up.
pub const CLIENT_SILENCE_MS_MAX: i64 = 30_000;
/// Milliseconds of silence after which a client gives its socket up.
pub const SERVER_SILENCE_MS_MAX: i64 = 32_000;
/// Milliseconds between two signs of typing that a client sends.
pub const TYPING_MS: i64 = 3_000;
/// Milliseconds after which a receiver forgets a typist whose client died.
pub const TYPING_MS_MAX: i64 = 6_000;
