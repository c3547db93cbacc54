// "This site is down": its plans are failed over together. The button, and what it asks.
import { roleOf } from '@understudy/contract/roles'
import { lazy, Suspense, useState } from 'react'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'

// Its fields are for the bad day, not for everybody who looks at a site.
const SiteDownDialog = lazy(async () => {
  const { SiteDownDialog: loaded } = await import('./SiteDownDialog.tsx')
  return { default: loaded }
})

type SiteDownProps = {
  readonly siteId: string
  readonly name: string
  /** Of a site that answers the button is no invitation. */
  readonly answers: boolean
  readonly size?: 'compact-sm'
}

export function SiteDown({ siteId, name, answers, size }: SiteDownProps) {
  const [opened, setOpened] = useState(false)
  return (
    <>
      <ActionButton
        reason={useWhyRefused()(roleOf.sites.failOver)}
        onClick={() => setOpened(true)}
        {...(size === undefined ? {} : { size })}
        {...(answers ? { variant: 'default' } : { color: 'red' })}
      >
        {answers ? 'This site is down' : `Fail over the plans of ${name}`}
      </ActionButton>
      {opened && (
        <Suspense fallback={null}>
          <SiteDownDialog siteId={siteId} name={name} onClose={() => setOpened(false)} />
        </Suspense>
      )}
    </>
  )
}
