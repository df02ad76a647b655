// A whole comparison: some models in one browser session, and what machine that was.
import { cpus, loadavg, totalmem } from 'node:os';
import { compareModel, defaults } from './compare.mjs';
import { overAllTable, steadyTable, visitTable } from './figures.mjs';
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

const machineText = ({ cpu, cores, load, browser, peers }) =>
  [`${cpu}, ${cores} cores, load ${load.toFixed(1)}`, browser, ...peers].join(', ');

/**
 * @param {(() => Promise<import('./prepare.mjs').Prepared>)[]} models  made one after the other
 * @param {{ browser: import('../toolchain/browsers.mjs').BrowserName, options: typeof defaults,
 *   talk: (text: string) => void, show: (text: string) => void }} how  show: results for people, as they come
 */
export async function compareAll(models, { browser: name, options, talk, show }) {
  checkInstalled(options.peers);
  const browser = await openBrowser(name);
  try {
    const machine = machineOf(browser, options.peers);
    const done = [];
    for (const make of models) {
      const model = await make();
      const result = await compareModel({ browser, model, options, talk });
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
