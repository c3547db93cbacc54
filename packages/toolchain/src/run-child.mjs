/** Child processes: each one is waited for, hears our signals, and has a limit when it could hang. */
import { spawn } from 'node:child_process'
import { childEnvironment, root } from './environment.mjs'

/**
 * @typedef {object} Running
 * @property {NodeJS.ProcessEnv} [env] added to the quiet environment
 * @property {string} [cwd] default: the root of the tree
 * @property {number} [limitSeconds] after this the child is ended, which counts as a failure
 * @property {AbortSignal} [abort] ends the child, unless a signal has already told it to
 * @property {boolean} [ownGroup] keeps Ctrl-C of the terminal from reaching the child directly, so that it
 *   hears each signal once, from us
 */

const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])

/** A child that ignores SIGTERM gets this long before SIGKILL. */
const graceSeconds = 20

/**
 * Runs a program with our own output and waits until it has ended.
 * @param {string} file
 * @param {string[]} args
 * @param {Running} [options]
 * @returns {Promise<number>} its exit code; 128 + n when signal n ended it; 124 when it ran into the limit
 */
export function runChild(file, args, { env, cwd = root, limitSeconds, abort, ownGroup = false } = {}) {
  const child = spawn(file, args, {
    cwd,
    env: childEnvironment(env),
    stdio: [ownGroup ? 'ignore' : 'inherit', 'inherit', 'inherit'],
    detached: ownGroup && process.platform !== 'win32',
  })
  const stopForwarding = forwardSignals(child, abort)
  const limit = limitSeconds === undefined ? undefined : endAfter(child, limitSeconds)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      stopForwarding()
      resolve(limit?.stop() ? 124 : (code ?? 128 + signalNumber(signal)))
    })
  })
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {AbortSignal} [abort]
 * @returns {() => void} stops forwarding
 */
function forwardSignals(child, abort) {
  let told = false
  const tell = (/** @type {NodeJS.Signals} */ signal) => {
    told = true
    child.kill(signal)
  }
  const onAbort = () => {
    if (!told) tell('SIGTERM')
  }
  for (const signal of signals) process.on(signal, tell)
  abort?.addEventListener('abort', onAbort)
  return () => {
    for (const signal of signals) process.off(signal, tell)
    abort?.removeEventListener('abort', onAbort)
  }
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {number} seconds
 */
function endAfter(child, seconds) {
  let expired = false
  /** @type {NodeJS.Timeout | undefined} */
  let last
  const first = setTimeout(() => {
    expired = true
    child.kill('SIGTERM')
    last = setTimeout(() => child.kill('SIGKILL'), graceSeconds * 1000)
  }, seconds * 1000)
  return {
    /** @returns {boolean} whether the limit was what ended the child */
    stop() {
      clearTimeout(first)
      clearTimeout(last)
      return expired
    },
  }
}

/** @param {NodeJS.Signals | null} signal */
function signalNumber(signal) {
  return { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 }[/** @type {string} */ (signal)] ?? 0
}
