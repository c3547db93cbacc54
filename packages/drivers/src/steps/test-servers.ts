// Servers for tests that answer as no real one would.
import { existsSync } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import net from 'node:net'
import { delimiter, join } from 'node:path'
import { afterAll } from 'vitest'

const servers: net.Server[] = []
afterAll(() => {
  for (const server of servers) server.close()
})

/** Returns the port. */
export async function listen(onSocket: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined)
    onSocket(socket)
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  server.unref()
  return (server.address() as net.AddressInfo).port
}

/** A copy of a server of the system: where AppArmor holds it to its own folders, it does so by the program's path. */
export async function ownProgram(name: string, folder: string): Promise<string> {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  const found = folders.map((each) => join(each, name)).find((path) => existsSync(path))
  if (found === undefined) throw new Error(`The program ${name} is not installed`)
  const own = join(folder, name)
  await copyFile(found, own)
  return own
}
