// A room's log as the server tells it, past every page: a guest of its own and three commands,
// written by docs/PROTOCOL.md, over a bare WebSocket. It shares no code with the app; what comes
// is shown by the built binary.

import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import type { Duplex } from 'node:stream';

import type { House } from './house';

/** An event of a log. */
export interface Logged {
  seq: number;
  op: string;
  /** What was said; nothing where the event is no message. */
  text: string | undefined;
}

const KIND = { hello: 1, sub: 2, pageAck: 4, welcome: 64, subOk: 66, reset: 67, page: 68, logged: 69 };
const BINARY = 2;
const CLOSE = 8;

/** Every event of the lobby, from the first to the head, as a subscription from 0 tells them. */
export async function lobbyLog(house: House): Promise<Logged[]> {
  const socket = await upgraded(house.url, await guest(house.url));
  const say = (kind: number, ...body: Buffer[]) => socket.write(message(frame(kind, Buffer.concat(body))));
  say(KIND.hello, Buffer.from([1, 0]), randomBytes(32), Buffer.from([0, 0]));
  let room = Buffer.of();
  let head = Infinity;
  const events: Logged[] = [];
  for await (const heard of messages(socket)) {
    const kind = heard.readUInt16LE(2);
    if (!Object.values(KIND).includes(kind)) continue;
    const shown = await house.commandOn(heard.toString('hex'), 'frame', 'decode', '-');
    const found = (pattern: RegExp) => pattern.exec(shown)?.[1] ?? '';
    const sub = found(/^ +sub: (\d+),$/m);
    if (kind === KIND.welcome) {
      room = Buffer.from(found(/id: RoomId\((\S+)\),\s+key: "lobby"/).replaceAll('-', ''), 'hex');
      say(KIND.sub, Buffer.from([1]), room, Buffer.from([0]));
    } else if (kind === KIND.reset && sub === '1') {
      const epoch = Buffer.alloc(9, 253);
      epoch.writeBigUInt64LE(BigInt(found(/epoch: (\d+)/)), 1);
      say(KIND.sub, Buffer.from([2]), room, Buffer.from([1]), epoch, Buffer.from([0, 0]));
    } else if (kind === KIND.subOk && sub === '2') {
      head = Number(found(/head: (\d+)/));
    } else if (kind === KIND.page || kind === KIND.logged) {
      events.push(...eventsOf(shown));
      if (kind === KIND.page) say(KIND.pageAck, Buffer.from([2]));
    }
    if (events.length >= head) break;
  }
  socket.destroy();
  return events;
}

/** The events of a frame as `frame decode` shows it. */
function eventsOf(shown: string): Logged[] {
  const [frame = '', ...changes] = shown.split(/^event \d+ +/m);
  const heads = [...frame.matchAll(/^ +seq: (\d+),$[^]*?op_id: OpId\((\S+)\)/gm)];
  return heads.map(([, seq, op], index) => {
    const text = /^ +text: (".*"),$/m.exec(changes[index] ?? '')?.[1];
    return { seq: Number(seq), op: op ?? '', text: text === undefined ? text : (JSON.parse(text) as string) };
  });
}

async function guest(url: string): Promise<string> {
  const made = await fetch(`${url}/api/guest`, { method: 'POST', headers: { Origin: url } });
  return made.headers.getSetCookie()[0]?.split(';')[0] ?? '';
}

function upgraded(url: string, cookie: string): Promise<Duplex> {
  const headers = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    'Sec-WebSocket-Protocol': 'wasmchannel.v1',
    Origin: url,
    Cookie: cookie,
  };
  return new Promise((done, fail) => {
    const asked = request(`${url}/ws`, { headers });
    asked.on('response', (answer) => fail(new Error(`no socket: ${answer.statusCode}`)));
    asked.on('error', fail);
    asked.on('upgrade', (_, socket, head) => {
      socket.unshift(head);
      done(socket);
    });
    asked.end();
  });
}

/** The WebSocket's message around a frame of at most 125 bytes, under a mask of zeros. */
function message(frame: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x80 | BINARY, 0x80 | frame.length, 0, 0, 0, 0]), frame]);
}

/** The binary messages as they come; the server never cuts one into fragments. */
async function* messages(socket: Duplex): AsyncGenerator<Buffer> {
  let held = Buffer.of();
  for await (const chunk of socket) {
    held = Buffer.concat([held, chunk as Buffer]);
    for (let next = cut(held); next !== undefined; next = cut(held)) {
      held = held.subarray(next.end);
      if (next.opcode === CLOSE) throw new Error(`closed with ${next.payload.readUInt16BE(0)}`);
      if (next.opcode === BINARY) yield next.payload;
    }
  }
  throw new Error('the socket ended');
}

/** The first message, once it is there whole. */
function cut(bytes: Buffer): { opcode: number; payload: Buffer; end: number } | undefined {
  const short = bytes.length < 2 ? 0 : bytes.readUInt8(1);
  const start = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < start) return undefined;
  const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  const end = start + length;
  if (bytes.length < end) return undefined;
  return { opcode: bytes.readUInt8(0) & 15, payload: bytes.subarray(start, end), end };
}

/** A frame of our own: twelve bytes of header, then the body, never compressed. */
function frame(kind: number, body: Buffer): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(12), body]);
  bytes.writeUInt8(1, 0);
  bytes.writeUInt16LE(kind, 2);
  bytes.writeUInt32LE(body.length, 4);
  bytes.writeUInt32LE(crc32(bytes), 8);
  return bytes;
}

/** CRC-32 (IEEE), bit by bit. Node.js has one of its own since 20.15 only. */
function crc32(bytes: Buffer): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
