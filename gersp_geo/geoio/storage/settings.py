"""GDAL's settings of stores, translated for obstore."""

import os
from configparser import ConfigParser, Error
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .names import ObjectName

if TYPE_CHECKING:
    from obstore.store import ObjectStore

# attempts after the first one; each waits up to twice as long, from 0.1 s on
RETRIES = 8

# a piece may take that long on a slow line
_PATIENCE = timedelta(minutes=10)


def open_store(place: ObjectName) -> 'ObjectStore':
    """Open the store of an object, by the settings that GDAL reads it with."""
    from obstore.store import AzureStore, GCSStore, S3Store

    client: dict[str, Any] = {'timeout': _PATIENCE, 'connect_timeout': timedelta(seconds=10)}
    options: dict[str, Any] = {
        'retry_config': {'max_retries': RETRIES, 'retry_timeout': timedelta(minutes=3)},
        'client_options': client,
    }
    match place.scheme:
        case 's3':
            config = settings_of_s3(place.bucket)
            client['allow_http'] = config.pop('allow_http', _is_on('AWS_ALLOW_HTTP', default=False))
            return S3Store(place.bucket, **options, **config)
        case 'gs':
            is_public = _is_on('GS_NO_SIGN_REQUEST', default=False)
            return GCSStore(place.bucket, **options, skip_signature=is_public)
        case _:
            config = settings_of_azure()
            client['allow_http'] = config.get('endpoint', '').startswith('http://')
            return AzureStore(place.bucket, **options, **config)


def settings_of_s3(bucket: str) -> dict[str, Any]:
    """Translate GDAL's settings of S3, https://gdal.org/user/virtual_file_systems.html.

    Those that both sides read by the same name, such as ``AWS_ACCESS_KEY_ID``, are left out.
    """
    # not every store that speaks like S3 removes many objects at once
    config: dict[str, Any] = {'disable_bulk_delete': True}
    if endpoint := os.environ.get('AWS_S3_ENDPOINT'):
        scheme, _, host = endpoint.rpartition('://')
        scheme = scheme or ('https' if _is_on('AWS_HTTPS', default=True) else 'http')
        # as GDAL does: a certificate for *.host fits no name with dots in front of it
        by_host = _is_on('AWS_VIRTUAL_HOSTING', default='.' not in bucket)
        host = f'{bucket}.{host}' if by_host else host
        config |= {
            # goes before every other setting of an endpoint
            'aws_endpoint_url_s3': f'{scheme}://{host.rstrip("/")}',
            'virtual_hosted_style_request': by_host,
            'allow_http': scheme == 'http',
        }
    if _is_on('AWS_NO_SIGN_REQUEST', default=False):
        config['skip_signature'] = True
    elif 'AWS_ACCESS_KEY_ID' not in os.environ:
        config |= _profile()
    return config


def _profile() -> dict[str, str]:
    """Read keys and region of a profile, as ``aws configure`` writes them, where there are any."""
    home = Path.home() / '.aws'
    files = ConfigParser(interpolation=None)
    with suppress(OSError, Error, UnicodeDecodeError):
        files.read(
            [
                os.environ.get('AWS_CONFIG_FILE', home / 'config'),
                os.environ.get('AWS_SHARED_CREDENTIALS_FILE', home / 'credentials'),
            ]
        )
    name = os.environ.get('AWS_PROFILE') or os.environ.get('AWS_DEFAULT_PROFILE') or 'default'
    found = {
        key: value
        # in the second file, the same section is called so
        for section in (f'profile {name}', name)
        if files.has_section(section)
        for key, value in files[section].items()
    }
    wanted = {
        'aws_access_key_id': 'access_key_id',
        'aws_secret_access_key': 'secret_access_key',
        'aws_session_token': 'session_token',
        'region': 'region',
    }
    if {'AWS_REGION', 'AWS_DEFAULT_REGION'} & os.environ.keys():
        del wanted['region']
    return {ours: found[theirs] for theirs, ours in wanted.items() if theirs in found}


def settings_of_azure() -> dict[str, Any]:
    """Translate GDAL's settings of Azure; those that both sides read by one name are left out."""
    text = os.environ.get('AZURE_STORAGE_CONNECTION_STRING', '')
    parts = dict(part.split('=', 1) for part in text.split(';') if '=' in part)
    found = {
        'account_name': parts.get('AccountName') or os.environ.get('AZURE_STORAGE_ACCOUNT'),
        'account_key': parts.get('AccountKey'),
        'sas_key': parts.get('SharedAccessSignature'),
        'endpoint': parts.get('BlobEndpoint'),
        'token': os.environ.get('AZURE_STORAGE_ACCESS_TOKEN'),
        'skip_signature': _is_on('AZURE_NO_SIGN_REQUEST', default=False) or None,
    }
    return {name: value for name, value in found.items() if value}


def _is_on(name: str, *, default: bool) -> bool:
    """Read an environment variable as GDAL reads what is on or off."""
    value = os.environ.get(name)
    return default if value is None else value.lower() not in ('no', 'false', 'off', '0')
