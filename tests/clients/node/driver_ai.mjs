// Streams with the AI SDK and tells how each call ended.
//
//     node driver_ai.mjs FOLDER openai|compatible < calls.json > outcomes.json
//
// FOLDER holds node_modules; the other word is the provider. `value` is the text that came, piece by piece. An error is
// a part of the stream here; `onError` has to see the same, and nothing may be thrown. Knows no case and judges nothing.

import { isDeepStrictEqual } from 'node:util';

import { counted, load, play } from './calls.mjs';

const { streamText } = load('ai');
const { createOpenAI } = load('@ai-sdk/openai');
const { createOpenAICompatible } = load('@ai-sdk/openai-compatible');

globalThis.AI_SDK_LOG_WARNINGS = false;

const models = {
  openai: (settings, path, name) => {
    const provider = createOpenAI(settings);
    return { '/chat/completions': provider.chat, '/completions': provider.completion, '/responses': provider.responses }[
      path
    ](name);
  },
  compatible: (settings, path, name) => {
    const provider = createOpenAICompatible({ ...settings, name: 'postel' });
    return { '/chat/completions': provider.chatModel, '/completions': provider.completionModel }[path](name);
  },
};

function failed(part) {
  if (part === null || typeof part !== 'object') return { raised: String(part) };
  const error = part.lastError ?? part; // a RetryError holds one for each attempt
  const body = error.data?.error ?? error;
  return {
    raised: part.name ?? part.constructor.name,
    text: error.message,
    status: error.statusCode ?? null,
    error: body,
    code: body.code ?? null,
    type: body.type ?? null,
    param: body.param ?? null,
    request_id: error.responseHeaders?.['x-request-id'] ?? null,
  };
}

async function make(call) {
  const { ask, seen } = counted();
  const settings = {
    baseURL: call.base_url,
    apiKey: 'test-key',
    headers: { 'x-call': call.id, ...call.headers },
    fetch: ask,
  };
  const outcome = { value: [] };
  const told = [];
  try {
    const result = streamText({
      model: models[process.argv[3]](settings, call.path, call.arguments.model),
      prompt: 'Say hello.',
      maxRetries: call.max_retries,
      onError: ({ error }) => told.push(error),
    });
    const errors = [];
    for await (const part of result.fullStream) {
      if (part.type === 'text-delta') outcome.value.push(part.text);
      if (part.type === 'finish') outcome.finish = part.finishReason;
      if (part.type === 'error') errors.push(part.error);
    }
    if (errors.length) {
      const names = errors.map((error) => failed(error).raised);
      Object.assign(outcome, failed(errors.at(-1)), { raised: names.join(', then ') });
    }
    if (!isDeepStrictEqual(errors, told)) {
      outcome.raised = `${errors.length} errors, ${told.length} told`;
    }
  } catch (error) {
    Object.assign(outcome, failed(error), { raised: `threw ${error.name}` });
  }
  return { ...outcome, ...seen };
}

await play(make);
