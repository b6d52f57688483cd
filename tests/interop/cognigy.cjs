// Cognigy's npm client: connect, launch, send texts with and without data, end the conversation.
// Arguments: the package, the simulator's settings as JSON, the client's options as JSON. Prints a report as JSON.
const { SocketClient } = require(process.argv[2]);

const { url, token, stop_text: last } = JSON.parse(process.argv[3]);
const options = JSON.parse(process.argv[4]);
const seen = { outputs: [], typing: [], pings: [], errors: [], locals: [] };

async function main() {
  const client = new SocketClient(url, token, { userId: 'user 1', sessionId: 'session 1', ...options });
  let finishTurn = () => {};
  client.on('output', (output) => seen.outputs.push(output));
  client.on('typingStatus', (typing) => seen.typing.push(typing.status));
  client.on('error', (error) => seen.errors.push(error));
  client.on('exception', (error) => seen.errors.push(error));
  client.on('socket/connect_error', (error) => seen.locals.push(String((error && error.message) || error)));
  const refused = new Promise((_, reject) =>
    client.on('socket/error', (error) => {
      seen.locals.push(String(error)); // the older client reports a refusal as a string and keeps waiting
      if (typeof error === 'string') reject(new Error('waits'));
    }),
  );
  // The client's own timer opens one more connection at each tick until one is open, and then all of them stay open.
  let closing = false;
  if (options.reconnection === false) client.on('socket/disconnect', () => closing || client.connect(true));
  client.on('finalPing', (ping) => {
    seen.pings.push(ping.type);
    finishTurn();
  });
  const turn = (...message) =>
    new Promise((resolve) => {
      finishTurn = resolve;
      client.sendMessage(...message);
    });
  try {
    await Promise.race([client.connect(), refused]);
  } catch (error) {
    seen.refused = String(error.message);
    return client.disconnect();
  }
  seen.ready = client.isEndpointReady;
  await turn('GET_STARTED');
  await turn('Hello from test!');
  await turn('with data', { key: 'ä→😀 value' });
  await turn('😀'.repeat(3));
  await turn(last || 'bye');
  closing = true;
  client.disconnect();
}

main().then(() => {
  console.log(JSON.stringify(seen));
  process.exit(0);
});
