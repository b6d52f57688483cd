// Microsoft's library for adaptive cards, which Webchat uses: fill in and submit cards.
// The argument is a JSON list of objects with `card`, `values` by input id, and the `title` of the button or null.
// Prints a report as JSON: for each card the data that the button submits, or null if the library refuses.
import { createRequire } from 'node:module';
import { JSDOM } from 'jsdom';

const { window } = new JSDOM('<!doctype html><body></body>');
const names = Object.getOwnPropertyNames(window).filter((name) => /^(HTML.*Element|window|document)$/.test(name));
for (const name of names) globalThis[name] = window[name];
const { AdaptiveCard, SerializationContext } = createRequire(import.meta.url)('adaptivecards/dist/adaptivecards.js');

AdaptiveCard.onProcessMarkdown = (text, result) => Object.assign(result, { outputHtml: '', didProcess: true });

// Fill in an input as a person does.
function fill(input, value) {
  const control = input.renderedInputControlElement;
  const boxes = [...control.querySelectorAll('input')];
  const change = (box, checked) => (box.checked = checked);
  if (input.getJsonTypeName() === 'Input.Toggle') change(boxes[0], value === true || value === input.valueOn);
  else if (boxes.length && boxes[0].type === 'text') boxes[0].value = value; // a choice set of style filtered
  else if (boxes.length) boxes.forEach((box) => change(box, String(value).split(',').includes(box.value)));
  else control.value = value;
}

function submit({ card: json, values, title }) {
  const card = new AdaptiveCard();
  const context = new SerializationContext();
  const actions = [];
  let data = null;
  context.onParseAction = (action) => actions.push(action);
  card.onExecuteAction = (action) => (data = action._processedData);
  card.parse(json, context);
  window.document.body.replaceChildren(card.render());
  const submits = actions.filter((each) => ['Action.Submit', 'Action.Execute'].includes(each.getJsonTypeName()));
  const chosen = submits.find((each) => title === null || each.title === title);
  const openers = [];
  for (let element = chosen.parent; element; element = element.parent) {
    openers.unshift(...actions.filter((each) => each.card === element));
  }
  openers.forEach((opener) => opener.execute()); // show the cards around the button
  for (const input of card.getAllInputs()) {
    if (input.id in values && input.renderedInputControlElement) fill(input, values[input.id]);
  }
  try {
    chosen.execute();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // the library cannot add inputs to data that is a text
  }
  return data;
}

console.log(JSON.stringify({ submitted: JSON.parse(process.argv[2]).map(submit) }));
