/**
 * What `npm start -- --help` says: every option and setting, with what holds when nobody sets it. Plain JavaScript without
 * a package, because the start script prints it before anything is installed; config.ts knows what each may be.
 */
import { hostname } from 'node:os'

export const version = '0.1.0'

const MiB = 1024 ** 2
const GiB = 1024 * MiB

/**
 * Of a host: `Vault-2.example` is `vault-2-example`. Two servers on one host and one database need names of their own.
 * @param {string} host
 */
function defaultProcessName(host) {
  const name = host
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .slice(0, 40)
  return name === '' ? 'server' : name
}

/** By the name in the file. */
export const settings = {
  host: {
    variable: 'UNDERSTUDY_HOST',
    fallback: '127.0.0.1',
    help: 'Address to listen on; 0.0.0.0 for every network card',
  },
  port: {
    variable: 'UNDERSTUDY_PORT',
    fallback: 4600,
    help: 'Port of console and API; 0 takes a free one',
  },
  publicUrl: {
    variable: 'UNDERSTUDY_PUBLIC_URL',
    fallback: null,
    help: 'How browsers reach this server, when a proxy stands before it',
  },
  trustProxy: {
    variable: 'UNDERSTUDY_TRUST_PROXY',
    fallback: 0,
    help: 'How many proxies before this server set X-Forwarded-For',
  },
  tlsCertificate: {
    variable: 'UNDERSTUDY_TLS_CERTIFICATE',
    fallback: null,
    help: 'PEM file; with tlsKey the server speaks https',
  },
  tlsKey: {
    variable: 'UNDERSTUDY_TLS_KEY',
    fallback: null,
    help: 'PEM file of the private key',
  },
  agentHost: {
    variable: 'UNDERSTUDY_AGENT_HOST',
    fallback: null,
    help: 'Address on which agents are listened for, once there are any; without it the one of the console',
  },
  agentPort: {
    variable: 'UNDERSTUDY_AGENT_PORT',
    fallback: 4610,
    help: 'Port that agents dial, always with TLS; 0 takes a free one',
  },
  agentUrl: {
    variable: 'UNDERSTUDY_AGENT_URL',
    fallback: null,
    help: 'How agents reach this server, such as https://dr.example:4610; without it as far as it knows itself',
  },
  agentSilentSeconds: {
    variable: 'UNDERSTUDY_AGENT_SILENT_SECONDS',
    fallback: 60,
    help: 'An alert tells when an agent was not heard for so long',
  },
  databaseUrl: {
    variable: 'DATABASE_URL',
    fallback: null,
    help: 'A PostgreSQL of yours (15 or newer); without it an embedded one is started',
  },
  logLevel: {
    variable: 'UNDERSTUDY_LOG_LEVEL',
    fallback: 'info',
    help: 'debug, info, warn or error',
  },
  logFormat: {
    variable: 'UNDERSTUDY_LOG_FORMAT',
    fallback: 'auto',
    help: 'auto (pretty in a terminal), pretty or json',
  },
  moverConcurrency: {
    variable: 'UNDERSTUDY_MOVER_CONCURRENCY',
    fallback: 4,
    help: 'Cycles that this process runs at the same time',
  },
  moverMemoryBytes: {
    variable: 'UNDERSTUDY_MOVER_MEMORY_BYTES',
    fallback: 256 * MiB,
    help: 'Bytes of buffers that all running cycles share',
  },
  lowSpaceBytes: {
    variable: 'UNDERSTUDY_LOW_SPACE_BYTES',
    fallback: 5 * GiB,
    help: 'An alert tells when a replica folder has less room than this',
  },
  letGoSeconds: {
    variable: 'UNDERSTUDY_LET_GO_SECONDS',
    fallback: 30,
    help: 'How long a cycle that was asked to stop may go on; then it is left behind, and an event says so',
  },
  scheduledTests: {
    variable: 'UNDERSTUDY_SCHEDULED_TESTS',
    fallback: 2,
    help: 'How many scheduled tests of plans are up at once, over all servers',
  },
  processName: {
    variable: 'UNDERSTUDY_PROCESS',
    fallback: defaultProcessName(hostname()),
    help: 'Name of this process; must differ between servers on one database',
  },
  lab: {
    variable: 'UNDERSTUDY_LAB',
    fallback: false,
    help: 'Create the lab at the start, as --lab does',
  },
  sessionHours: {
    variable: 'UNDERSTUDY_SESSION_HOURS',
    fallback: 12,
    help: 'A session ends after so many hours without use',
  },
  requestsPerMinute: {
    variable: 'UNDERSTUDY_REQUESTS_PER_MINUTE',
    fallback: 3000,
    help: 'API requests of one address; more are answered 429',
  },
}

const options = [
  ['--lab', 'Creates the lab, unattended'],
  ['--host <address>', 'Address to listen on, before every other setting'],
  ['--port <port>', 'Port of console and API, before every other setting'],
  ['--version', 'Prints the version and ends'],
  ['-h, --help', 'Prints this and ends'],
]

/** Text for `--help`. */
export function describeUsage() {
  return [
    'Usage: npm start -- [--lab] [--host <address>] [--port <port>] [--version] [--help]',
    '',
    ...options.map(([option, help]) => `  ${option?.padEnd(32)} ${help}`),
    '',
    'Settings come from the environment, else from <home>/understudy.json, else from the defaults.',
    '',
    ...describeSetting(
      'UNDERSTUDY_HOME',
      'Folder of database, replicas, keys and logs',
      'default: ~/.understudy',
    ),
    ...Object.entries(settings).flatMap(([name, { variable, help, fallback }]) =>
      describeSetting(variable, help, `file: "${name}", default: ${JSON.stringify(fallback)}`),
    ),
    '',
  ].join('\n')
}

/**
 * @param {string} variable
 * @param {string} help
 * @param {string} more
 */
const describeSetting = (variable, help, more) => [
  `  ${variable.padEnd(32)} ${help}`,
  `${' '.repeat(35)}${more}`,
]
