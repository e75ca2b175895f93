// Makes calls with the official npm client and tells how each ended.
//
//     node driver.mjs FOLDER < calls.json > outcomes.json
//
// FOLDER holds node_modules. The shape of both lists is in tests/clients/stage.py, which starts this. All calls run at
// once. Knows no case and judges nothing.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const { OpenAI } = createRequire(join(process.argv[2], 'package.json'))('openai');

function method(client, name) {
  const path = name.split('.');
  const last = path.pop();
  const owner = path.reduce((object, key) => object[key], client);
  return owner[last].bind(owner);
}

async function make(call) {
  let attempts = 0;
  const answers = [];
  const client = new OpenAI({
    baseURL: call.base_url,
    apiKey: 'test-key',
    maxRetries: call.max_retries,
    timeout: call.timeout * 1000,
    defaultHeaders: { 'x-call': call.id, ...call.headers },
    fetch: async (url, init) => {
      attempts += 1;
      const response = await fetch(url, init);
      answers.push([response.status, Object.fromEntries(response.headers)]);
      return response;
    },
  });
  const outcome = { id: call.id };
  try {
    const given = Object.keys(call.arguments).length ? [call.arguments] : [];
    const result = await method(client, call.method)(...given);
    if (call.arguments.stream) {
      const times = [];
      outcome.value = [];
      for await (const chunk of result) {
        outcome.value.push(chunk);
        times.push(performance.now());
      }
      outcome.spread = times.length ? (times.at(-1) - times[0]) / 1000 : 0;
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
  return { ...outcome, attempts, answers };
}

const calls = JSON.parse(readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(await Promise.all(calls.map(make))));
