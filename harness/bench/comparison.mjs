// A whole comparison: some models in one browser session, and what machine that was.
import { cpus, loadavg, totalmem } from 'node:os';
import { WasmAIError } from '../../web/errors.js';
import { compareModel, defaults } from './compare.mjs';
import { overAllTable, steadyTable, visitTable } from './figures.mjs';
import { graphOf } from './peers/graph.mjs';
import { checkInstalled, PEERS, peerVersion } from './peers/index.mjs';
import { openBrowser } from './processes.mjs';
import { measureAxis, scalingText } from './scaling.mjs';

export { defaults };

/** @param {{ name: string, version: string }} browser @param {string[]} peers */
export function machineOf(browser, peers) {
  return {
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    load: loadavg()[0],
    node: process.version,
    browser: `${browser.name} ${browser.version}`,
    peers: peers.map(peerVersion),
  };
}

export const machineText = ({ cpu, cores, load, browser, peers }) =>
  [`${cpu}, ${cores} cores, load ${load.toFixed(1)}`, browser, ...peers].join(', ');

/** Those that can have this model. */
function able({ name, onnx }, peers, talk) {
  const graphs = peers.filter((id) => PEERS[id].needsGraph);
  try {
    if (graphs.length > 0) graphOf(onnx);
    return peers;
  } catch (error) {
    if (!(error instanceof WasmAIError)) throw error;
    talk(`${name}: without ${graphs.join(', ')}: ${error.message}`);
    return peers.filter((id) => !graphs.includes(id));
  }
}

/**
 * @param {(() => Promise<import('./prepare.mjs').Prepared>)[]} models  made one after the other
 * @param {{ browser: import('../toolchain/browsers.mjs').BrowserName, options: typeof defaults,
 *   talk: (text: string) => void, show: (text: string) => void, leaveOut?: boolean }} how  show: results
 *   for people, as they come; leaveOut: a peer that has no graph for a model, instead of an error
 */
export async function compareAll(models, { browser: name, options, leaveOut = false, talk, show }) {
  checkInstalled(options.peers);
  const browser = await openBrowser(name);
  try {
    const machine = machineOf(browser, options.peers);
    const done = [];
    for (const make of models) {
      const model = await make();
      const peers = leaveOut ? able(model, options.peers, talk) : options.peers;
      const result = await compareModel({ browser, model, options: { ...options, peers }, talk });
      // Not before: bad input is to be one message and nothing else.
      if (done.length === 0) show(machineText(machine));
      done.push(result);
      show(`\n${model.name} (inputs: ${model.inputsFrom})`);
      for (const state of result.steady) show(steadyTable(state, result.mflop));
      for (const visits of result.visits) show(visitTable(visits));
    }
    if (done.length > 1) show(`\n${overAllTable(done)}`);
    return { date: new Date().toISOString(), machine, options, models: done };
  } finally {
    await browser.close();
  }
}

/**
 * @param {(keyof typeof import('./scaling.mjs').AXES)[]} axes
 * @param {{ options: typeof import('./scaling.mjs').scalingDefaults, talk: (text: string) => void, show: (text: string) => void }} how
 */
export async function scaleAll(axes, { options, talk, show }) {
  const peers = Object.keys(PEERS);
  checkInstalled(peers);
  const browser = await openBrowser('chromium');
  try {
    const machine = machineOf(browser, peers);
    show(machineText(machine));
    const scaling = [];
    for (const axis of axes) {
      scaling.push(await measureAxis(axis, { browser, options, talk }));
      show(scalingText(scaling[scaling.length - 1]));
    }
    return { date: new Date().toISOString(), machine, options, scaling };
  } finally {
    await browser.close();
  }
}
