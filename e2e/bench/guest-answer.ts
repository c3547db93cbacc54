// When does a guest answer? A forwarder accepts connections before its guest listens, so only bytes that come back count.
import net from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

const askMilliseconds = 200
/** A question that was asked before the guest had its network may never be answered; later ones are. */
const patienceMilliseconds = 3_000

/**
 * Asks for the guest's page five times a second, without waiting for earlier questions: the moment of the answer is not rounded
 * up to a question's patience. Resolves at the first byte of any answer.
 */
export async function untilGuestAnswers(port: number, seconds: number): Promise<void> {
  const deadline = performance.now() + seconds * 1000
  const done = new AbortController()
  const answered = new Promise<void>((resolve) => {
    done.signal.addEventListener('abort', () => resolve())
  })
  while (!done.signal.aborted) {
    if (performance.now() > deadline) {
      done.abort()
      throw new Error(`No answer at port ${port} within ${seconds} s`)
    }
    ask(port, done)
    await Promise.race([answered, wait(askMilliseconds)])
  }
}

function ask(port: number, done: AbortController): void {
  const socket = net.connect({ host: '127.0.0.1', port })
  const end = (): void => void socket.destroy()
  socket.setTimeout(patienceMilliseconds, end)
  socket.once('error', end)
  socket.once('data', () => done.abort())
  done.signal.addEventListener('abort', end, { once: true })
  socket.write('GET / HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n')
}
