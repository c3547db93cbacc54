// What a server mounts when it starts (fstab(5)), and which of the volumes of its disks that is.
import type { Volume } from './volumes.ts'

export type FstabLine = {
  readonly spec: string
  readonly folder: string
  readonly type: string
  readonly options: readonly string[]
}

/** Pure. */
export function parseFstab(text: string): readonly FstabLine[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(/\s+/).map(fromOctal))
    .map(([spec = '', folder = '', type = 'auto', options = 'defaults']) => ({
      spec: spec.replaceAll('"', ''),
      folder: folder === '/' ? folder : folder.replace(/\/+$/, ''),
      type,
      options: options.split(','),
    }))
}

const fromOctal = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

/** Given by the kernel in the order in which it finds disks: another disk may have it here. */
const KERNEL_NAME = /^\/dev\/(?:[shv]d[a-z]|xvd[a-z]|nvme\d|mmcblk\d|md\d|dm-\d)/
const FOLDERS = {
  'by-uuid': 'uuid',
  'by-label': 'label',
  'by-partuuid': 'partUuid',
  'by-partlabel': 'partLabel',
} as const
const TAGS = { UUID: 'uuid', LABEL: 'label', PARTUUID: 'partUuid', PARTLABEL: 'partLabel' } as const

type Name =
  | {
      readonly kind: 'tag'
      readonly tag: 'uuid' | 'label' | 'partUuid' | 'partLabel'
      readonly value: string
    }
  | { readonly kind: 'path' }
  | { readonly kind: 'kernel-name' }
  /** Of no disk: of memory, of the network, of a folder. */
  | { readonly kind: 'none' }

export function nameOf(spec: string): Name {
  const [, tag, value] = /^(UUID|LABEL|PARTUUID|PARTLABEL)=(.+)$/.exec(spec) ?? []
  if (tag && value) return { kind: 'tag', tag: TAGS[tag as keyof typeof TAGS], value }
  const [, folder, text] = /^\/dev\/disk\/(by-[a-z]+)\/(.+)$/.exec(spec) ?? []
  if (folder && text && folder in FOLDERS)
    return { kind: 'tag', tag: FOLDERS[folder as keyof typeof FOLDERS], value: fromHex(text) }
  if (KERNEL_NAME.test(spec)) return { kind: 'kernel-name' }
  return spec.startsWith('/dev/') ? { kind: 'path' } : { kind: 'none' }
}

/** As udev writes blanks and the like in the names of links. */
const fromHex = (text: string): string =>
  text.replace(/\\x([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))

/** The volume that a line means; null: none of these, or one that cannot be told by such a name. Pure. */
export function findVolume(spec: string, volumes: readonly Volume[]): Volume | null {
  const name = nameOf(spec)
  if (name.kind === 'path') return volumes.find(({ names }) => names.includes(spec)) ?? null
  if (name.kind !== 'tag') return null
  // Numbers of FAT are written in both cases.
  const same = (text: string | null): boolean =>
    name.tag === 'label' || name.tag === 'partLabel'
      ? text === name.value
      : text?.toLowerCase() === name.value.toLowerCase()
  return volumes.find((volume) => same(volume[name.tag])) ?? null
}

/** What is not waited for when the server starts. */
export const isOptional = ({ options }: FstabLine): boolean =>
  options.includes('nofail') || options.includes('noauto')
