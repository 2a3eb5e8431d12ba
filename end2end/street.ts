// The way between one browser and the house, which a test can cut or hold back: a TCP proxy.

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export class Street {
  private readonly pairs = new Set<[Socket, Socket]>();
  private cutOff = false;
  private held = false;

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async open(housePort: number): Promise<Street> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const street = new Street(server, `http://127.0.0.1:${address.port}`);
    server.on('connection', (browser) => street.carry(browser, housePort));
    return street;
  }

  /** Ends every connection and takes no new one. */
  cut(): void {
    this.cutOff = true;
    for (const sockets of this.pairs) sockets.forEach((socket) => socket.destroy());
  }

  mend(): void {
    this.cutOff = false;
  }

  /** What the house says waits; what the browser says still arrives. */
  hold(): void {
    this.held = true;
    for (const [, house] of this.pairs) house.pause();
  }

  release(): void {
    this.held = false;
    for (const [, house] of this.pairs) house.resume();
  }

  close(): void {
    this.cut();
    this.server.close();
  }

  private carry(browser: Socket, housePort: number): void {
    if (this.cutOff) {
      browser.destroy();
      return;
    }
    const house = connect(housePort, '127.0.0.1');
    const pair: [Socket, Socket] = [browser, house];
    this.pairs.add(pair);
    browser.on('data', (bytes) => house.write(bytes));
    house.on('data', (bytes) => browser.write(bytes));
    if (this.held) house.pause();
    const end = () => {
      this.pairs.delete(pair);
      pair.forEach((socket) => socket.destroy());
    };
    pair.forEach((socket) => socket.on('close', end).on('error', end));
  }
}
