// The address of a libvirt, as seen on the host where virsh runs.
import { Refusal } from '@understudy/base/errors'
import type { KvmHostSettings } from '../settings.ts'

export const DEFAULT_URI = 'qemu:///system'

/**
 * virsh runs on the host itself, beside the files and sockets that we need there; the connection to the host is ours, with its
 * pinned key. So `qemu+ssh://` means the same as the host's own ssh address and becomes `qemu:///`. Refusal `kvm/libvirt-uri`
 * for anything that would lead to the libvirt of another computer than the one that holds our files.
 */
export function toLibvirtUri({ name, address, libvirtUri }: KvmHostSettings): string {
  const uri = libvirtUri ?? DEFAULT_URI
  if (/^qemu:\/\/\/(system|session)$/.test(uri)) return uri
  if (/^qemu\+unix:\/\/\/(system|session)(\?socket=\/[^&\s]*)?$/.test(uri)) return uri
  const ssh = /^qemu\+ssh:\/\/(?:[^@/]+@)?(\[[^\]]+\]|[^:/]+)(?::\d+)?\/(system|session)(?:\?.*)?$/.exec(uri)
  if (ssh === null)
    throw wrong(
      `Host ${name} has the libvirt address "${uri}"`,
      'Use qemu:///system, or qemu+unix:///system?socket=PATH.',
    )
  if (address.kind !== 'ssh' || address.host !== ssh[1]?.replace(/^\[|\]$/g, ''))
    throw wrong(
      `Host ${name} has the libvirt address "${uri}", but files are reached at ${address.kind === 'ssh' ? address.host : 'this computer'}`,
      'Choose "ssh" for this host with the same host name; then qemu:///system is enough.',
    )
  return `qemu:///${ssh[2] ?? 'system'}`
}

const wrong = (message: string, remedy: string): Refusal =>
  new Refusal({ code: 'kvm/libvirt-uri', message, remedy })
