// Drives one module of clients: reads a JSON command a line, prints what came of it, a JSON line each.
// A command is {client, verb, ask}; a verb is async (ask, heard) => answer, and adds the model's text to `heard` as it comes.
import { createInterface } from 'node:readline';

console.log = console.error; // standard output is for answers

const { clients, describe } = await import(new URL(process.argv[2], import.meta.url));

const carryOut = async ({ client, verb, ask }) => {
  const heard = [];
  try {
    return { heard, answer: await clients[client][verb](ask, heard) };
  } catch (error) {
    return { heard, failure: describe(error) };
  }
};

const say = (document) => process.stdout.write(`${JSON.stringify(document)}\n`);

say(Object.fromEntries(Object.entries(clients).map(([name, verbs]) => [name, Object.keys(verbs)])));
for await (const line of createInterface({ input: process.stdin })) say(await carryOut(JSON.parse(line)));
