// Reads the calls, makes many of them at once and writes the outcomes, whatever the client is.
//
// Owns how an attempt is counted and when a call is given up. The shape of both lists is in tests/clients/stage.py. Used
// by the drivers beside it.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

export const load = createRequire(join(process.argv[2], 'package.json'));

// As in driver_openai.py.
const AT_ONCE = 32;

// A fetch for one call, and the answers that it had.
export function counted() {
  const answers = [];
  const seen = { attempts: 0, answers };
  const ask = async (url, init) => {
    seen.attempts += 1;
    const response = await fetch(url, init);
    answers.push([response.status, Object.fromEntries(response.headers)]);
    return response;
  };
  return { ask, seen };
}

// No timeout of a client covers a body that stops coming, so that a hang has to be told from here.
async function bounded(make, call) {
  const begun = performance.now();
  let timer;
  const hung = new Promise((resolve) => {
    timer = setTimeout(resolve, call.timeout * 1000, { raised: 'Hung', attempts: 0, answers: [] });
  });
  const outcome = await Promise.race([make(call), hung]);
  clearTimeout(timer);
  return { id: call.id, ...outcome, seconds: (performance.now() - begun) / 1000 };
}

export async function play(make) {
  const calls = JSON.parse(readFileSync(0, 'utf8'));
  const outcomes = [];
  let next = 0;
  const turn = async () => {
    while (next < calls.length) {
      const at = next++;
      outcomes[at] = await bounded(make, calls[at]);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, turn));
  process.stdout.write(JSON.stringify(outcomes), () => process.exit());
}
