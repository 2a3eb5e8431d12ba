// A server of the test's own: the built binary on a free port of the loopback, with a data
// folder that ends with the test. It can be killed and started again on the same port.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const binary = process.env.WASMCHANNEL_BINARY ?? '../target/release/wasmchannel';

/** Rates that a script may need; what a test raises stands here and nowhere else. */
export const FOR_SCRIPTS = {
  WASMCHANNEL_LIMITS_SENDS_PER_USER: '10000/s burst 10000',
  WASMCHANNEL_LIMITS_SENDS_PER_ROOM: '10000/s burst 10000',
  WASMCHANNEL_LIMITS_FRAMES_PER_SOCKET: '10000/s burst 10000',
  WASMCHANNEL_LIMITS_REQUESTS_PER_SIGN_IN: '10000/s burst 10000',
  WASMCHANNEL_LIMITS_REQUESTS_PER_ADDRESS: '10000/s burst 10000',
};

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export class House {
  /** All that the server wrote to its outputs, over all its starts. */
  log = '';
  /** Whether it was stopped once: from then on pages may complain of the network. */
  disturbed = false;
  private process: ChildProcess | undefined;

  private constructor(
    readonly data: string,
    readonly port: number,
    private readonly settings: Record<string, string>,
  ) {}

  static async open(settings: Record<string, string> = {}): Promise<House> {
    const data = await mkdtemp(join(tmpdir(), 'wasmchannel-'));
    const house = new House(join(data, 'data'), await freePort(), settings);
    await house.start();
    return house;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts it, and waits until it answers that it is ready. */
  async start(): Promise<void> {
    const process_ = spawn(binary, ['serve', '--addr', `127.0.0.1:${this.port}`, '--data', this.data], {
      env: { ...this.settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process = process_;
    const note = (chunk: Buffer) => (this.log += chunk.toString());
    process_.stdout.on('data', note);
    process_.stderr.on('data', note);
    const deadline = Date.now() + 20_000;
    while (!(await this.answers('/readyz'))) {
      if (process_.exitCode !== null || Date.now() > deadline) {
        throw new Error(`the server did not become ready:\n${this.log}`);
      }
      await sleep(20);
    }
  }

  /** Stops it by a signal and waits for its end. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    this.disturbed = true;
    const process_ = this.process;
    if (process_ === undefined || process_.exitCode !== null || process_.signalCode !== null) return;
    process_.kill(signal);
    await once(process_, 'exit');
  }

  async close(): Promise<void> {
    await this.stop('SIGKILL');
    await rm(join(this.data, '..'), { recursive: true, force: true });
  }

  async answers(path: string): Promise<boolean> {
    return fetch(this.url + path).then((response) => response.ok, () => false);
  }

  /** Runs another command of the binary on the same data folder, and gives what it prints. */
  async command(...words: string[]): Promise<string> {
    return this.commandOn('', ...words);
  }

  /** The same with this on its standard input. */
  async commandOn(input: string, ...words: string[]): Promise<string> {
    const env = { WASMCHANNEL_DATA: this.data, WASMCHANNEL_ADDR: `127.0.0.1:${this.port}` };
    const running = promisify(execFile)(binary, words, { env, maxBuffer: 16 << 20 });
    // A command that ends without reading closes the pipe; its answer is its exit code.
    running.child.stdin?.on('error', () => {});
    running.child.stdin?.end(input);
    return (await running).stdout;
  }
}
