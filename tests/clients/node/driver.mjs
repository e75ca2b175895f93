// Makes calls with the official npm client and tells how each ended.
//
//     node driver.mjs FOLDER < calls.json > outcomes.json
//
// FOLDER holds node_modules. Knows no case and judges nothing.

import { counted, load, play } from './calls.mjs';

const { OpenAI } = load('openai');

function method(client, name) {
  const path = name.split('.');
  const last = path.pop();
  const owner = path.reduce((object, key) => object[key], client);
  return owner[last].bind(owner);
}

async function take(result, outcome) {
  const times = [];
  outcome.value = [];
  outcome.spread = 0;
  for await (const chunk of result) {
    outcome.value.push(chunk);
    times.push(performance.now());
    outcome.spread = (times.at(-1) - times[0]) / 1000;
  }
}

async function make(call) {
  const { ask, seen } = counted();
  const client = new OpenAI({
    baseURL: call.base_url,
    apiKey: 'test-key',
    maxRetries: call.max_retries,
    timeout: call.timeout * 1000,
    defaultHeaders: { 'x-call': call.id, ...call.headers },
    fetch: ask,
  });
  const outcome = {};
  try {
    const given = Object.keys(call.arguments).length ? [call.arguments] : [];
    const result = await method(client, call.method)(...given);
    if (call.helps) {
      await take(result, outcome);
      // Its iterator may end without an error that came between two of its steps; this one always has it.
      await (call.method === 'responses.stream' ? result.finalResponse() : result.finalChatCompletion());
    } else if (call.arguments.stream) {
      await take(result, outcome);
    } else {
      // A page keeps the document it was made of beside the client and the options.
      outcome.value = 'getPaginatedItems' in result ? result.body : result;
    }
  } catch (error) {
    outcome.raised = error.constructor.name;
    outcome.text = error.message;
    outcome.status = error.status ?? null;
    outcome.error = error.error ?? null;
    outcome.code = error.code ?? null;
    outcome.type = error.type ?? null;
    outcome.param = error.param ?? null;
    outcome.request_id = error.requestID ?? null;
  }
  return { ...outcome, ...seen };
}

await play(make);
