//! The other process: clients that join the lobby of the house, and sockets of the floor.
//!
//! Started by `fanout` and `idle` as a child; it says `ready` when everybody has joined, and at the
//! end of its input how many bytes came to each side. Its law: it does as little as a reader can,
//! because on one machine a sender pays for the receiver's input path.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::ops::Range;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use protocol::bounded::Text;
use protocol::codec::{SUB_PROTOCOL, decode_event, encode_command};
use protocol::command::{Hello, Pong, Sub};
use protocol::event::Event;
use protocol::frame::Command as Asked;
use protocol::ids::{DeviceId, PageId, RoomId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The readers, as their parent holds them.
pub(crate) struct Readers {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Readers {
    /// Starts them, on another core than ours where there is one, and waits until they have joined.
    pub(crate) fn start(house: SocketAddr, floor: Option<SocketAddr>, users: Range<u32>) -> Self {
        let own = std::env::current_exe().unwrap();
        let mut command = Command::new("sh");
        let elsewhere = "taskset -cp 1 $$ >/dev/null 2>&1; exec \"$@\"";
        command.args(["-c", elsewhere, "sh"]).arg(own).arg("readers");
        command.args(["--house", &house.to_string(), "--count", &users.len().to_string()]);
        command.args(["--first", &users.start.to_string()]);
        if let Some(floor) = floor {
            command.args(["--floor", &floor.to_string()]);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh");
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut readers = Self { child, input, output };
        let mut ready = [0; 6];
        readers.output.read_exact(&mut ready).expect("the readers are ready");
        readers
    }

    /// Lets every client of the house give a sign of life, which the house reads before it returns.
    pub(crate) fn live(&mut self) {
        self.input.write_all(b"p").unwrap();
        self.output.read_exact(&mut [0; 1]).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
    }

    /// How many bytes have come to the clients of the house, and to the sockets of the floor.
    pub(crate) fn counts(&mut self) -> (u64, u64) {
        self.input.write_all(b"?").unwrap();
        let mut counts = [0; 16];
        self.output.read_exact(&mut counts).unwrap();
        let (house, floor) = counts.split_at(8);
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
        (number(house), number(floor))
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

/// The child's whole life.
pub(crate) fn run(house: SocketAddr, floor: Option<SocketAddr>, users: Range<u32>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (at_house, at_floor) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let counts = [Arc::clone(&at_house), Arc::clone(&at_floor)];
    let clients = Arc::new(Mutex::new(Vec::<Arc<TcpStream>>::new()));
    let joining = Arc::clone(&clients);
    // Answers questions while the runtime reads.
    let (ready, joined) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        let (mut input, mut output) = (std::io::stdin(), std::io::stdout());
        joined.recv().unwrap();
        output.write_all(b"ready\n").and_then(|()| output.flush()).unwrap();
        let mut asked = [0];
        while input.read_exact(&mut asked).is_ok() {
            if asked == *b"p" {
                let pong = command(&Asked::Pong(Pong { number: 0 }));
                for stream in clients.lock().unwrap().iter() {
                    stream.try_write(&pong).unwrap();
                }
                output.write_all(b"p").unwrap();
            } else {
                for count in &counts {
                    output.write_all(&count.load(Ordering::Relaxed).to_le_bytes()).unwrap();
                }
            }
            output.flush().unwrap();
        }
        std::process::exit(0);
    });
    runtime.block_on(async move {
        for number in users {
            let stream = Arc::new(joined_lobby(house, number).await);
            joining.lock().unwrap().push(Arc::clone(&stream));
            tokio::spawn(read(stream, Arc::clone(&at_house)));
            if let Some(floor) = floor {
                let stream = TcpStream::connect(floor).await.unwrap();
                tokio::spawn(read(Arc::new(stream), Arc::clone(&at_floor)));
            }
        }
        ready.send(()).unwrap();
        std::future::pending::<()>().await;
    });
}

/// Reads and drops whatever comes.
async fn read(stream: Arc<TcpStream>, count: Arc<AtomicU64>) {
    loop {
        stream.readable().await.unwrap();
        match BUFFER.with_borrow_mut(|buffer| stream.try_read(buffer)) {
            Ok(0) => std::process::exit(1),
            Ok(taken) => {
                count.fetch_add(u64::try_from(taken).unwrap(), Ordering::Relaxed);
            }
            Err(fault) if fault.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => std::process::exit(1),
        }
    }
}

/// A client of this number that has joined the lobby.
async fn joined_lobby(house: SocketAddr, number: u32) -> TcpStream {
    let mut stream = TcpStream::connect(house).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let head = format!(
        "GET /ws/{number} HTTP/1.1\r\nhost: {house}\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         sec-websocket-protocol: {SUB_PROTOCOL}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    stream.write_all(&command(&hello(number))).await.unwrap();
    let lobby = loop {
        if let Event::Welcome(welcome) = event(&mut stream).await {
            break welcome.rooms[0].id;
        }
    };
    stream.write_all(&command(&sub(lobby))).await.unwrap();
    loop {
        if let Event::Reset(reset) = event(&mut stream).await
            && reset.sub == 1
        {
            return stream;
        }
    }
}

fn hello(number: u32) -> Asked {
    let mut page = [0; 16];
    page[..4].copy_from_slice(&number.to_le_bytes());
    Asked::Hello(Hello {
        version: 1,
        build: Text::cut("measure"),
        page: PageId::from_bytes(page),
        device: DeviceId::from_bytes(page),
        abilities: 0,
        user_cursor: None,
    })
}

const fn sub(room: RoomId) -> Asked {
    Asked::Sub(Sub { sub: 1, room, cursor: None })
}

/// A command under a mask of zeros.
fn command(asked: &Asked) -> Vec<u8> {
    let payload = encode_command(asked).unwrap();
    let mut bytes = vec![0x82, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
    bytes.extend(payload);
    bytes
}

async fn event(stream: &mut TcpStream) -> Event {
    loop {
        let _first = stream.read_u8().await.unwrap();
        let length = match stream.read_u8().await.unwrap() {
            126 => usize::from(stream.read_u16().await.unwrap()),
            127 => usize::try_from(stream.read_u64().await.unwrap()).unwrap(),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.unwrap();
        if let Ok(Some(event)) = decode_event(&payload) {
            return event;
        }
    }
}
