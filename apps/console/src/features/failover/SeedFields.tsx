import { PasswordInput, TextInput } from '@mantine/core'
import type { ReactNode } from 'react'
import type { ActionOptions } from './run-action.ts'

type SeedPlace = ActionOptions['seed']

const SHORTEST_PASSPHRASE = 12

export const isSeedPlace = ({ folder, passphrase }: SeedPlace): boolean =>
  folder.startsWith('/') && passphrase.length >= SHORTEST_PASSPHRASE

type SeedFieldsProps = {
  readonly value: SeedPlace
  readonly onChange: (value: SeedPlace) => void
  readonly children?: ReactNode
}

/** Where the disk is mounted, and what its content is encrypted with. */
export function SeedFields({ value, onChange, children }: SeedFieldsProps) {
  return (
    <>
      <TextInput
        label="Folder on the server"
        description="Where the disk is mounted, from / on."
        placeholder="/media/seed"
        value={value.folder}
        onChange={(event) => onChange({ ...value, folder: event.currentTarget.value })}
        autoComplete="off"
      />
      <PasswordInput
        label="Passphrase"
        description={`At least ${SHORTEST_PASSPHRASE} characters, those of the export at the import. It is kept nowhere in between: without it the seed is lost.`}
        value={value.passphrase}
        onChange={(event) => onChange({ ...value, passphrase: event.currentTarget.value })}
        autoComplete="new-password"
      />
      {children}
    </>
  )
}
