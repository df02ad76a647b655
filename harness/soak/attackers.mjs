// Clients that mean no good, as a process of their own: `node attackers.mjs KIND PORT SECONDS`. Bounded
// in number and time, and on this machine only.
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';

const HOST = '127.0.0.1';
const SLOW = 100;
const FLOOD = 20000;
const AT_ONCE = 100;

const [kind, port, seconds] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const end = Date.now() + seconds * 1000;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const quiet = (socket) => socket.on('error', () => {});

/** Half a request each, a byte now and then, and never an end. */
async function slow() {
  let opened = 0;
  const drip = () => {
    if (Date.now() > end) return;
    opened++;
    const socket = quiet(connectTls({ host: HOST, port, rejectUnauthorized: false }));
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nX: ');
    const timer = setInterval(() => socket.writable && socket.write('x'), 100);
    socket.once('close', () => {
      clearInterval(timer);
      setTimeout(drip, 100);
    });
  };
  for (let i = 0; i < SLOW; i++) drip();
  await pause(seconds * 1000);
  return opened;
}

/** Connections without a word, as fast as they come. */
async function flood() {
  let opened = 0;
  const one = async () => {
    while (Date.now() < end && opened < FLOOD) {
      opened++;
      await new Promise((resolve) => {
        const socket = quiet(connect(port, HOST));
        socket.once('connect', () => setTimeout(() => socket.destroy(), 5));
        socket.once('close', resolve);
      });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  await pause(Math.max(0, end - Date.now()));
  return opened;
}

const opened = await { slow, flood }[kind]();
process.stdout.write(`${opened}\n`);
process.exit(0);
