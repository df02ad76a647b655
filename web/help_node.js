/** A thread of a session in Node (isolation 'none'): what helpers.js starts there. */
import { workerData } from 'node:worker_threads';
import { help } from './engine.js';

help(workerData);
