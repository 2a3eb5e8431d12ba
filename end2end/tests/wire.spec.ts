// What the browser really sends is what the command shows.

import { expect, test } from '../world';

test('a captured frame decodes to the fields that were sent', async ({ visitor, house }) => {
  const room = await (await visitor()).tab();
  const frames: Buffer[] = [];
  room.page.on('websocket', (socket) => {
    expect(new URL(socket.url()).pathname).toBe('/ws');
    socket.on('framesent', (frame) => frames.push(Buffer.from(frame.payload)));
  });
  await room.go('/');
  await room.saySurely('taken from the wire');

  const shown = await Promise.all(frames.map((frame) => house.command('frame', 'decode', frame.toString('hex'))));
  expect(shown[0]).toContain('Hello');
  const post = shown.find((text) => text.includes('Post'));
  expect(post).toContain('taken from the wire');
});

test('a frame that is not one is refused by name', async ({ house }) => {
  const refused = house.command('frame', 'decode', '010000000000008000000000');
  await expect(refused).rejects.toMatchObject({ code: 1 });
});
