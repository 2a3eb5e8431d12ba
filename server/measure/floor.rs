//! The floor: a thread that writes a ready frame to every socket, one plain `write` each.
//!
//! Used by `fanout`. Its law: nothing is done between two writes, and the sockets are as the house's:
//! no delay, the same send buffer.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::house::{cpu_ns, this_task};

/// The thread and the way to it.
pub(crate) struct Floor {
    pub(crate) addr: SocketAddr,
    rounds: Sender<Vec<u8>>,
    done: Receiver<()>,
    task: PathBuf,
}

impl Floor {
    /// Waits for so many sockets, then for what to write.
    pub(crate) fn open(sockets: u32) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let bound = runtime.block_on(async {
            let listener = server::http::listen::bind("127.0.0.1:0".parse().unwrap());
            listener.unwrap().into_std().unwrap()
        });
        bound.set_nonblocking(false).unwrap();
        let addr = bound.local_addr().unwrap();
        let (rounds, asked) = channel::<Vec<u8>>();
        let (told, done) = channel();
        let (begun, task) = channel();
        thread::spawn(move || {
            begun.send(this_task()).unwrap();
            let mut streams = accepted(&bound, sockets);
            told.send(()).unwrap();
            for frame in asked {
                for stream in &mut streams {
                    let written = stream.write(&frame).unwrap();
                    assert_eq!(written, frame.len(), "a reader was too slow for the floor");
                }
                told.send(()).unwrap();
            }
        });
        Self { addr, rounds, done, task: task.recv().unwrap() }
    }

    /// Waits until all sockets are there, or the last round is done.
    pub(crate) fn wait(&self) {
        self.done.recv().unwrap();
    }

    /// Writes this to every socket.
    pub(crate) fn round(&self, frame: &[u8]) {
        self.rounds.send(frame.to_vec()).unwrap();
        self.wait();
    }

    /// Nanoseconds of CPU that the thread has used.
    pub(crate) fn cpu_ns(&self) -> u64 {
        cpu_ns(&self.task)
    }
}

fn accepted(listener: &TcpListener, sockets: u32) -> Vec<TcpStream> {
    let accept = |_| {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    };
    (0..sockets).map(accept).collect()
}
