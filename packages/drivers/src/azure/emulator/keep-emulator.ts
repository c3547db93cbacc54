// The emulated storage of the lab.
import { mkdir } from 'node:fs/promises'
import { type KeptEmulator, keepUp } from './keep-up.ts'
import { startAzurite } from './start-azurite.ts'

export type KeptEmulatorOptions = {
  readonly folder: string
  readonly port: number
  readonly onTrouble: (error: unknown) => void
}

export const keepEmulator = ({ folder, port, onTrouble }: KeptEmulatorOptions): KeptEmulator =>
  keepUp({
    port,
    onTrouble,
    async start() {
      await mkdir(folder, { recursive: true })
      return await startAzurite(folder, port)
    },
  })
