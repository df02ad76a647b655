// What a converter of the peers would fuse: activations and biases into what comes before, and erf's Gelu.

/** @typedef {import('./graph.mjs').PeerGraph} PeerGraph @typedef {import('./graph.mjs').Step} Step */

const TAKES_ACTIVATION = ['conv', 'depthwise', 'fully_connected', 'add'];

/** @param {PeerGraph} graph @returns {PeerGraph} */
export function fuse(graph) {
  for (const rule of [gelu, bias, activation]) rewrite(graph, rule);
  dropUnused(graph);
  return graph;
}

/** Every rule sees each step with those that use its output; what it merged is taken out. */
function rewrite(graph, rule) {
  const users = usersOf(graph);
  const gone = new Set();
  for (const step of graph.steps) {
    if (!gone.has(step)) for (const merged of rule(graph, step, users)) gone.add(merged);
  }
  graph.steps = graph.steps.filter((step) => !gone.has(step));
}

function usersOf({ steps, outputs }) {
  /** @type {Map<string, Step[]>} */
  const users = new Map(outputs.map((name) => [name, [/** @type {any} */ ({ op: 'output' })]]));
  for (const step of steps) {
    for (const name of step.inputs) users.set(name, [...(users.get(name) ?? []), step]);
  }
  return users;
}

/** The only user of a value, if that is what it is for. */
function onlyUser(users, name, op) {
  const [user, ...more] = users.get(name) ?? [];
  return user?.op === op && more.length === 0 ? user : null;
}

const constantBeside = (graph, { inputs }, name) =>
  graph.values.get(inputs[inputs[0] === name ? 1 : 0])?.data;

/** x * 0.5 * (1 + erf(x / sqrt 2)), from its division on. */
function gelu(graph, divide, users) {
  if (divide.op !== 'mul') return [];
  const [x] = divide.inputs;
  const erf = onlyUser(users, divide.output, 'erf');
  const one = erf && onlyUser(users, erf.output, 'add');
  const times = one && onlyUser(users, one.output, 'mul');
  const half = times && onlyUser(users, times.output, 'mul');
  if (!half || !times.inputs.includes(x) || constantBeside(graph, half, times.output)?.[0] !== 0.5)
    return [];
  Object.assign(half, { op: 'gelu', inputs: [x] });
  return [divide, erf, one, times];
}

function bias(graph, step, users) {
  if (step.op !== 'fully_connected' || step.inputs.length > 2) return [];
  const add = onlyUser(users, step.output, 'add');
  const other = add?.inputs.find((name) => name !== step.output);
  if (!add || graph.values.get(other)?.data === undefined) return [];
  Object.assign(step, { inputs: [...step.inputs, other], output: add.output });
  return [add];
}

function activation(_graph, step, users) {
  if (!TAKES_ACTIVATION.includes(step.op)) return [];
  const act = onlyUser(users, step.output, 'relu') ?? onlyUser(users, step.output, 'relu6');
  if (!act) return [];
  Object.assign(step, { act: act.op, output: act.output });
  return [act];
}

function dropUnused({ values, steps, inputs }) {
  const used = new Set([...inputs, ...steps.flatMap((step) => [...step.inputs, step.output])]);
  for (const name of [...values.keys()]) if (!used.has(name)) values.delete(name);
}
