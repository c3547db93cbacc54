// What a running process has cost so far, as the kernel counts it.
import { readFile } from 'node:fs/promises'
import { KiB } from '@understudy/base/bytes'

/** utime and stime of proc(5), in ticks of 10 ms. The fields are counted after the name, which may hold anything. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * KiB
}
