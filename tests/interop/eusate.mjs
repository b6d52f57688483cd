// A customer's client written from the vendor's complete example, with socket.io-client: enter, send a message, enter
// the conversation, be handed over, talk to the agent, call, hang up, be asked to close, close, review.
// The first argument is the settings as JSON. Prints a report as one JSON object.
import { io } from 'socket.io-client';

const { url, api_key: key } = JSON.parse(process.argv[2]);
const seen = { shown: [], banners: [], asked: null, call: null, summary: null, closed: null, review: null, echoes: 0 };
const session = 'customer_123';
let conversation = null;
const waiting = {};

const socket = io(`${url}/helpdesk?token_source=api&token=${key}`);
const next = (event) => new Promise((resolve) => (waiting[event] = resolve));
const on = (event, handle) =>
  socket.on(event, (response) => {
    if (response.status_code === 200) handle?.(response.data);
    const resolve = waiting[event];
    delete waiting[event];
    resolve?.(response);
  });
const say = (message, file = null) =>
  socket.emit('support', {
    session_id: session,
    message,
    attachment: !!file,
    attachment_metadata: file,
    ticket_chat_id: conversation,
  });
const read = (ticket_chat_id) => socket.emit('mark_conversation_read', { ticket_chat_id, entity: 'customer' });

socket.on('connect', () => socket.emit('enter_customer_support', { session_id: session }));
on('enter_customer_support');
on('support_echo', () => (seen.echoes += 1));
on('support', (data) => {
  if (!conversation) {
    conversation = data.ticket_chat_id;
    socket.emit('enter_support', { ticket_chat_id: conversation });
  }
  seen.shown.push([data.sender, data.message]);
  read(conversation);
  if (data.close_support && !data.closed_support) seen.asked = conversation;
});
on('customer_support', (data) => {
  seen.shown.push([data.sender, data.message]);
  read(data.ticket_chat_id);
});
on('support_handler_changed', ({ handler, agent }) => seen.banners.push([handler, agent?.username ?? null]));
on('call_support', ({ token, room }) => (seen.call = { token, room }));
on('close_call_support', ({ call_start_time, call_end_time }) => (seen.summary = [call_start_time, call_end_time]));
on('close_support', (data) => (seen.closed = data));
on('review_support', (data) => (seen.review = data));

async function after(event, act) {
  const response = next(event);
  act();
  return response;
}

await next('enter_customer_support');
await after('support', () => say('I need help'));
await after('customer_support', () => say('agent please'));
await after('support_echo', () => say('hello Ada'));
await after('support_echo', () => say('my photo', { url: 'https://example.org/a.png', name: 'a.png', size_kb: 3, extension: 'png' }));
await next('support_handler_changed');
await after('call_support', () => socket.emit('call_support', { session_id: session, ticket_chat_id: conversation }));
await after('close_call_support', () => socket.emit('close_call_support', { ticket_chat_id: conversation }));
await after('support', () => say('thanks'));
await after('close_support', () => socket.emit('close_support', { ticket_chat_id: conversation }));
await after('review_support', () =>
  socket.emit('review_support', { ticket_chat_id: conversation, rating: '5', review: 'Great' }),
);
seen.conversation = conversation;
socket.disconnect();
console.log(JSON.stringify(seen));
