import { useNavigate, useSearch } from '@tanstack/react-router'
import { SignInForm } from '../features/access/SignInForm.tsx'
import { Entrance } from '../ui/Entrance.tsx'

export function SignInPage() {
  const navigate = useNavigate()
  const { from } = useSearch({ from: '/sign-in' })
  return (
    <Entrance title="Sign in" note="With the name and password of your Understudy user.">
      <SignInForm onDone={() => void navigate({ href: insideOnly(from), replace: true })} />
    </Entrance>
  )
}

/** Never follow an address that leads to another host. */
const insideOnly = (address: string | undefined): string =>
  address?.startsWith('/') && !address.startsWith('//') ? address : '/'
