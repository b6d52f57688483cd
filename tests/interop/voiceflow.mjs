// A client written from the vendor's page "Interact (socket)", with socket.io-client: connect, do the handshake, launch,
// press, send texts, disconnect, and resume with the stored key. The first argument is the settings as JSON.
// Prints a report as one JSON object.
import { io } from 'socket.io-client';

const { url, project_id: projectID, api_key: authorization } = JSON.parse(process.argv[2]);
const seen = { events: [], traces: [], statuses: [], errors: [] };

let sessionKey;

function open() {
  const socket = io(url, {
    path: '/v4/interact/socket',
    timeout: 10000,
    transports: ['websocket', 'polling', 'webtransport'],
    reconnection: true,
    tryAllTransports: true,
    reconnectionDelay: 1000,
    reconnectionAttempts: 5,
    reconnectionDelayMax: 5000,
  });
  socket.onAny((event) => seen.events.push(event));
  socket.on('error', (payload) => seen.errors.push(payload));
  socket.on('action.trace', ({ trace, messageID }) => seen.traces.push({ ...trace, messageID }));
  const ready = new Promise((resolve) => {
    socket.on('connect', () => {
      socket.emit('client.start', {
        sessionKey,
        userID: 'test@test.com',
        projectID,
        authorization,
        config: { completionEvents: true },
      });
      socket.once('client.started', ({ newSessionRequired }) => {
        if (newSessionRequired === false) return resolve(newSessionRequired);
        socket.emit('session.create', {});
        socket.once('session.created', (payload) => {
          sessionKey = payload.sessionKey;
          resolve(newSessionRequired);
        });
      });
    });
  });
  const send = (action) =>
    new Promise((resolve) => {
      const onStatus = (payload) => {
        seen.statuses.push(payload.status);
        if (payload.status === 'accepted') return;
        socket.off('action.status', onStatus);
        resolve(payload);
      };
      socket.on('action.status', onStatus);
      socket.emit('action.send', { action });
    });
  return { socket, ready, send };
}

const first = open();
seen.newSession = await first.ready;
await first.send({ type: 'launch', payload: {} });
const button = seen.traces.find((trace) => trace.type === 'choice').payload.buttons[0];
await first.send(button.request);
await first.send({ type: 'text', payload: '4567' });
await first.send({ type: 'text', payload: 'tour' });
seen.rejected = await first.send({ type: 'text', payload: { not: 'a string' } });
first.socket.disconnect();

const second = open();
seen.newSessionAgain = await second.ready;
const ended = new Promise((resolve) => second.socket.on('session.ended', resolve));
await second.send({ type: 'text', payload: 'bye' });
seen.ended = await ended;
second.socket.disconnect();

console.log(JSON.stringify(seen));
