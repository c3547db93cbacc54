// What a server says of itself that decides whether it would boot on other hardware, as its agent sends it: checked like everything that
// comes from there, and bounded so that it fits into one message.
import type { LinuxFacts } from '@understudy/domain/boot-check/boot-facts'
import { z } from 'zod'

const Word = z.string().max(200)
const Line = z.string().max(2000)
const words = (most: number) => z.array(Word).max(most)
const lines = (most: number) => z.array(Line).max(most)
const Known = z.boolean().nullable()

const Kernel = z.object({
  version: Word,
  builtIn: words(100).nullable(),
  available: words(100).nullable(),
  initramfs: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('read'), drivers: words(100) }),
    z.object({ kind: z.literal('unread'), reason: Line }),
  ]),
})

const Interface = z.object({
  writtenFor: z.enum(['netplan', 'ifupdown', 'networkmanager', 'ifcfg', 'networkd']),
  path: Line,
  name: Word.nullable(),
  macAddress: Word.nullable(),
  driver: Word.nullable(),
  method: z.enum(['dhcp', 'static', 'unknown']),
})

export const BootFactsShape = z.object({
  system: z.literal('linux'),
  distribution: z.object({ id: Word, like: words(50), name: Word }),
  firmware: z.enum(['bios', 'uefi']),
  runningKernel: Word,
  kernels: z.array(Kernel).max(50),
  commandLine: z.string().max(10_000),
  fstab: lines(500).nullable(),
  crypttab: lines(200),
  namingRules: lines(500),
  interfaces: z.array(Interface).max(500),
  networkFiles: lines(500),
  fallbackLoader: Known,
  sshServer: Known,
  azureAgent: Known,
  cloudInit: Known,
}) satisfies z.ZodType<LinuxFacts, unknown>
