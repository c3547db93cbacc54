import { Alert, Text } from '@mantine/core'
import { IconArrowsSplit2 } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import { Differences } from './SaveDialog.tsx'

type DisagreementProps = {
  readonly conflicts: readonly { readonly message: string }[]
  /** What to do about it. */
  readonly children: ReactNode
}

/** Where two people want the same thing otherwise. */
export function Disagreement({ conflicts, children }: DisagreementProps) {
  return (
    <Alert
      color="yellow"
      variant="light"
      role="alert"
      icon={<IconArrowsSplit2 size={18} />}
      title={`You disagree in ${conflicts.length} ${conflicts.length === 1 ? 'place' : 'places'}`}
    >
      <Differences label="Where you disagree" lines={conflicts.map(({ message }) => message)} empty="" />
      <Text size="sm" mt={6}>
        {children}
      </Text>
    </Alert>
  )
}
