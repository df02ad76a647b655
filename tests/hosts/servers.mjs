// nginx, Apache and Caddy as the distribution has them, started with the header files of a built folder.
import { spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../../harness/server/port.mjs';
import { commandLine } from '../../harness/toolchain/env.mjs';
import { isRoot, makeEnvironment, onPath } from '../../harness/toolchain/environment.mjs';

/**
 * @typedef {{ site: string, work: string, key: string, cert: string, port: number }} Place
 * site: the built folder. work: a folder for the server's own files. key, cert: PEM files.
 */

const nginx = {
  command: 'nginx',
  /** @param {Place} place */
  prepare({ site, work, key, cert, port }) {
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    const config = join(work, 'nginx.conf');
    writeFileSync(
      config,
      `daemon off; master_process off; pid ${work}/pid; error_log stderr warn;
events {}
http {
  access_log off; server_tokens off;
  ${temporary.map((name) => `${name}_temp_path ${work}/${name};`).join(' ')}
  limit_req_zone $binary_remote_addr zone=perip:1m rate=500r/s;
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${cert}; ssl_certificate_key ${key}; ssl_protocols TLSv1.2 TLSv1.3;
    limit_req zone=perip burst=500 nodelay;
    root ${site};
    include ${site}/headers/nginx.conf;
  }
}
`,
    );
    return { args: ['-e', 'stderr', '-p', work, '-c', config] };
  },
};

const MODULES = [
  ...['mpm_event', 'authz_core', 'mime', 'dir', 'alias', 'headers', 'reqtimeout', 'ssl'],
  ...['filter', 'deflate'],
];

const apache = {
  command: 'apache2',
  needs: () => !isRoot && 'Apache changes its user, which only root can',
  /** @param {Place} place @param {string} root of the environment, or '' */
  prepare({ site, work, key, cert, port }, root) {
    const config = join(work, 'apache.conf');
    const modules = '/usr/lib/apache2/modules';
    const loads = MODULES.filter((name) => existsSync(join(root, modules, `mod_${name}.so`))).map(
      (name) => `LoadModule ${name}_module ${modules}/mod_${name}.so`,
    );
    writeFileSync(
      config,
      `ServerRoot ${work}
ServerName localhost
ServerTokens Prod
PidFile ${work}/pid
ErrorLog ${work}/error.log
Mutex file:${work}
User www-data
Group www-data
Listen 127.0.0.1:${port} https
${loads.join('\n')}
TypesConfig /dev/null
TraceEnable off
SSLEngine on
SSLProtocol -all +TLSv1.2 +TLSv1.3
SSLCertificateFile ${cert}
SSLCertificateKeyFile ${key}
SSLSessionCache none
DocumentRoot ${site}
<Directory ${site}>
  AllowOverride FileInfo Indexes Options=Indexes
  Require all granted
</Directory>
`,
    );
    copyFileSync(join(site, 'headers/apache.htaccess'), join(site, '.htaccess'));
    return { args: ['-X', '-f', config] };
  },
};

const caddy = {
  command: 'caddy',
  /** @param {Place} place */
  prepare({ site, work, key, cert, port }) {
    const config = join(work, 'Caddyfile');
    const text = readFileSync(join(site, 'headers/Caddyfile'), 'utf8');
    writeFileSync(
      config,
      `{
	admin off
	auto_https disable_redirects
	skip_install_trust
	log {
		level ERROR
	}
}
${text.replace('\tfile_server\n', `\tbind 127.0.0.1\n\ttls ${cert} ${key}\n\tfile_server\n`)}`,
    );
    return {
      args: ['run', '--config', config, '--adapter', 'caddyfile'],
      env: {
        WASM_AI_SITE: `https://localhost:${port}`,
        WASM_AI_ROOT: site,
        HOME: work,
        XDG_DATA_HOME: work,
        XDG_CONFIG_HOME: work,
      },
    };
  },
};

/** @type {Record<string, { command: string, needs?: () => string | false, prepare: Function }>} */
export const SERVERS = { nginx, apache, caddy };

/**
 * Where a server's command is: on the PATH, or in the environment of packages-hosts.txt.
 * @param {string} name @returns {Promise<{ toolchain?: import('../../harness/toolchain/env.mjs').Toolchain, missing: string | false }>}
 */
export async function findServer(name) {
  const { command, needs } = SERVERS[name];
  const unable = needs?.() ?? false;
  if (unable) return { missing: unable };
  if (onPath(command)) return { toolchain: { kind: 'path', root: '', id: '' }, missing: false };
  try {
    const root = await makeEnvironment('hosts');
    return { toolchain: { kind: 'root', root, id: '' }, missing: false };
  } catch (error) {
    return {
      missing: `${command} is not on the PATH, and no environment for it: ${error.message}`,
    };
  }
}

const isOpen = (/** @type {number} */ port) =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });

/**
 * @param {string} name @param {import('../../harness/toolchain/env.mjs').Toolchain} toolchain
 * @param {{ site: string, work: string, key: string, cert: string, port?: number }} place
 */
export async function startServer(name, toolchain, place) {
  const port = place.port ?? (await freePort());
  mkdirSync(place.work, { recursive: true });
  chmodSync(place.work, 0o755);
  const { args, env } = SERVERS[name].prepare({ ...place, port }, toolchain.root);
  const line = commandLine(toolchain, SERVERS[name].command, args, { cwd: place.work, env });
  const child = spawn(line.file, line.args, {
    cwd: line.cwd,
    env: line.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text));
  const ended = new Promise((resolve) => child.once('close', () => resolve('ended')));
  const close = async () => {
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(late);
  };
  for (let attempts = 0; !(await isOpen(port)); attempts++) {
    const wait = new Promise((resolve) => setTimeout(() => resolve('wait'), 50));
    if ((await Promise.race([ended, wait])) === 'ended' || attempts > 400) {
      await close();
      const log = join(place.work, 'error.log');
      const more = existsSync(log) ? readFileSync(log, 'utf8') : '';
      throw new Error(`${name} did not start: ${said}${more}`);
    }
  }
  return { port, url: `https://localhost:${port}/`, close, said: () => said };
}
